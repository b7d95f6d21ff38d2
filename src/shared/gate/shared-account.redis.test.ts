/** The fleet beside an outside user of the same account, at a provider that counts strictly. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Gates, startGates } from '../../../test/support/gate.ts';
import { startClockedGates } from '../../../test/support/gate-clock.ts';
import { type SharedAccount, simulateSharedAccount } from '../../../test/support/shared-account.ts';

let gates: Gates;
let runs = 0;
beforeAll(async () => {
  gates = await startGates('shared:');
});
afterAll(() => gates.stop());

const base: SharedAccount = {
  limit: { requests: 100, perMs: 10_000, burst: 10 },
  hasLimit: true,
  share: 0,
  pattern: 'steady',
  seed: 7,
  forMs: 60_000,
  latencyMs: [30, 150],
  workers: 3,
};

async function simulate(part: Partial<SharedAccount>) {
  const clock = await startClockedGates(gates.redis, `shared${++runs}:`);
  return simulateSharedAccount(clock, { ...base, ...part });
}

test('a fleet alone on its account follows the budgets, is never throttled, and uses 97 % of the limit', async () => {
  const seen = await simulate({ latencyMs: [20, 80] });
  expect(seen.oursThrottled).toBe(0);
  expect(seen.use).toBeGreaterThanOrEqual(0.97);
});

test.each([
  { share: 0.1, pattern: 'random' },
  { share: 0.4, pattern: 'steady' },
  { share: 0.4, pattern: 'random' },
  { share: 0.4, pattern: 'clumps' },
  { share: 0.7, pattern: 'random' },
] as const)('beside an outsider with a $pattern share of $share it is hardly throttled, and the limit is used', async (part) => {
  for (const seed of [1, 2]) {
    const seen = await simulate({ ...part, seed });
    expect(seen.oursThrottled).toBeLessThanOrEqual(8);
    expect(seen.use).toBeGreaterThanOrEqual(0.9);
    expect(seen.outside).toBeGreaterThan(0.7 * (seen.outside + seen.outsideThrottled));
  }
});

test('where nobody configured a limit the answers alone keep it used, and seldom passed', async () => {
  const seen = await simulate({ hasLimit: false, share: 0.3, pattern: 'random', forMs: 120_000 });
  expect(seen.oursThrottled).toBeLessThanOrEqual(0.06 * seen.ours);
  expect(seen.use).toBeGreaterThanOrEqual(0.85);
});
