import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { eventually } from '../../../test/support/eventually.ts';
import { type Gates, gatePolicy, gateRequest, startGates } from '../../../test/support/gate.ts';
import { startClockedGates } from '../../../test/support/gate-clock.ts';
import { connectRedis, disconnectRedis } from '../redis/connection.ts';

let gates: Gates;
let accounts = 0;
const newAccount = () => `account-${++accounts}`;

beforeAll(async () => {
  gates = await startGates('holds:');
});
afterAll(() => gates.stop());

async function hold(worker: string, account: string, { keep = 0, want = 0, max = 10, holdTtlMs = 60_000 }) {
  const request = gateRequest({ keepSlots: keep, wantSlots: want });
  return gates.worker(worker, { holdTtlMs }).acquire(account, gatePolicy({ maxConcurrency: max }), request);
}

const heldSlots = async (account: string) => (await gates.worker('x').peek(account, gatePolicy())).heldSlots;

/** The time of a hold's end is moved into the past, as if its worker had long been silent. */
async function expireHold(worker: string, account: string): Promise<void> {
  const key = gates.keys.gate(account);
  const value = await gates.redis.hget(key, `h:${worker}`);
  if (value !== null) await gates.redis.hset(key, `h:${worker}`, value.replace(/^(\d+:\d+):\d+/, '$1:1'));
}

/** A round of workers that come down to their fair share as soon as their calls end, which is at once. */
async function politeRound(account: string, wants: Record<string, number>, held: Map<string, number>, max: number, holdTtlMs = 60_000) {
  for (const [worker, want] of Object.entries(wants)) {
    const fair = held.get(`${worker} fair`) ?? 0;
    const grant = await hold(worker, account, { keep: Math.min(held.get(worker) ?? 0, fair), want, max, holdTtlMs });
    held.set(worker, grant.slots);
    held.set(`${worker} fair`, grant.fairSlots);
  }
}

const slotsOf = (held: Map<string, number>, wants: Record<string, number>) => Object.keys(wants).map((worker) => held.get(worker));

test('who is alone takes what it wants, up to the maximum', async () => {
  const account = newAccount();
  expect(await hold('a', account, { want: 4 })).toMatchObject({ slots: 4, fairSlots: 10 });
  expect(await hold('a', account, { keep: 4, want: 99 })).toMatchObject({ slots: 10, fairSlots: 10 });
});

test('others get what is free, and the holder is told what to come down to', async () => {
  const account = newAccount();
  await hold('a', account, { want: 8 });
  expect(await hold('b', account, { want: 8 })).toMatchObject({ slots: 2, fairSlots: 5 });
  expect(await hold('a', account, { keep: 8, want: 8 })).toMatchObject({ slots: 8, fairSlots: 5 });
  expect(await hold('a', account, { keep: 5, want: 8 })).toMatchObject({ slots: 5, fairSlots: 5 });
  expect(await hold('b', account, { keep: 2, want: 8 })).toMatchObject({ slots: 5 });
});

test.each([
  { wants: { a: 10, b: 10, c: 10, d: 10 }, max: 10, slots: [2, 2, 3, 3] },
  { wants: { a: 99, b: 1, c: 99, d: 99 }, max: 10, slots: [1, 3, 3, 3] },
  { wants: { a: 2, b: 3 }, max: 10, slots: [2, 3] },
  { wants: { a: 2, b: 0, c: 99 }, max: 10, slots: [0, 2, 8] },
  { wants: { a: 99, b: 99 }, max: 3, slots: [1, 2] },
])('workers that want $wants of $max share them evenly', async ({ wants, max, slots }) => {
  const account = newAccount();
  const held = new Map<string, number>();
  for (let round = 0; round < 4; round += 1) await politeRound(account, wants, held, max);
  expect(slotsOf(held, wants).sort()).toEqual(slots);
});

test('a worker is not believed to hold more than it was given', async () => {
  const account = newAccount();
  await hold('a', account, { want: 6 });
  expect((await hold('b', account, { keep: 9, want: 9 })).slots).toBe(4);
  await expireHold('a', account);
  await hold('b', account, { keep: 4, want: 10 });
  expect((await hold('a', account, { keep: 6, want: 0 })).slots).toBe(0);
});

test('a lowered maximum grants nothing more until enough was given up', async () => {
  const account = newAccount();
  await hold('a', account, { want: 10 });
  expect(await hold('a', account, { keep: 10, want: 10, max: 4 })).toMatchObject({ slots: 10, fairSlots: 4 });
  expect((await hold('b', account, { want: 1, max: 4 })).slots).toBe(0);
  expect((await hold('a', account, { keep: 3, want: 10, max: 4 })).slots).toBe(3);
  expect((await hold('b', account, { want: 1, max: 4 })).slots).toBe(1);
});

test('a hold ends when its worker has been silent for its life, and when it leaves', async () => {
  const account = newAccount();
  await hold('dead', account, { want: 10, holdTtlMs: 40 });
  await eventually(async () => (await hold('b', account, { want: 10 })).slots === 10);
  expect(await heldSlots(account)).toBe(10);
  await gates.worker('b').leave(account);
  await gates.worker('b').leave(account);
  expect(await heldSlots(account)).toBe(0);
});

test('whoever wants and keeps nothing holds nothing', async () => {
  const account = newAccount();
  await hold('a', account, { want: 3 });
  expect((await hold('a', account, {})).slots).toBe(0);
  expect(await gates.redis.exists(gates.keys.gate(account))).toBe(0);
});

test.each([1, 2])('five workers take turns at %i slots', async (max) => {
  const account = newAccount();
  const wants = { a: 5, b: 5, c: 1, d: 5, e: 5 };
  const held = new Map<string, number>();
  const served = new Set<string>();
  await eventually(async () => {
    await politeRound(account, wants, held, max, 1_000);
    for (const worker of Object.keys(wants)) if ((held.get(worker) ?? 0) > 0) served.add(worker);
    expect(await heldSlots(account)).toBeLessThanOrEqual(max);
    return served.size === 5;
  });
});

test('a holder keeps its slot for its turn', async () => {
  const account = newAccount();
  await hold('a', account, { want: 5, max: 1 });
  await hold('b', account, { want: 5, max: 1 });
  expect(await hold('a', account, { keep: 0, want: 5, max: 1 })).toMatchObject({ slots: 1, fairSlots: 1 });
});

test('a holder is told whether others want more than their share', async () => {
  const account = newAccount();
  expect(await hold('a', account, { want: 5, max: 1 })).toMatchObject({ slots: 1, doOthersWait: false });
  expect(await hold('b', account, { want: 5, max: 1 })).toMatchObject({ slots: 0, doOthersWait: true });
  expect(await hold('a', account, { keep: 1, want: 5, max: 1 })).toMatchObject({ slots: 1, fairSlots: 1, doOthersWait: true });
  await hold('b', account, {});
  expect(await hold('a', account, { keep: 1, want: 1, max: 1 })).toMatchObject({ doOthersWait: false });
  await hold('b', account, { want: 3, max: 8 });
  expect(await hold('a', account, { keep: 1, want: 2, max: 8 })).toMatchObject({ doOthersWait: false });
});

describe('others are told that the slots are shared anew', () => {
  const policy = gatePolicy({ maxConcurrency: 2 });

  /** Gates on a clock of their own, and what was announced since it was last asked. */
  async function listen() {
    const clock = await startClockedGates(gates.redis, `${newAccount()}:`);
    const heard: string[] = [];
    const subscriber = connectRedis(gates.url, { name: 'shares' });
    onTestFinished(() => disconnectRedis(subscriber));
    subscriber.on('message', (_, message) => void heard.push(message));
    await subscriber.subscribe(clock.keys.gateShares);
    return {
      clock,
      ask: async (worker: string, keep: number, want: number) => {
        const request = gateRequest({ keepSlots: keep, wantSlots: want });
        return (await clock.worker(worker, { holdTtlMs: 10_000 }).acquire('crm', policy, request)).slots;
      },
      async told() {
        await gates.redis.publish(clock.keys.gateShares, 'end');
        await eventually(() => heard.at(-1) === 'end', { intervalMs: 1 });
        return heard.splice(0).slice(0, -1);
      },
    };
  }

  test('not where nobody waits', async () => {
    const { ask, told } = await listen();
    expect([await ask('a', 0, 1), await ask('b', 0, 1), await ask('a', 0, 0), await ask('b', 1, 5), await ask('b', 0, 0)]).toEqual([
      1, 1, 0, 2, 0,
    ]);
    expect(await told()).toEqual([]);
  });

  test('when somebody begins to wait, and once however often it asks; again when it waits for more of its share', async () => {
    const { ask, told } = await listen();
    await ask('a', 0, 2);
    for (let i = 0; i < 5; i++) expect(await ask('b', 0, 1)).toBe(0);
    expect(await told()).toEqual(['crm']);
    for (let i = 0; i < 5; i++) expect(await ask('a', 2, 2)).toBe(2);
    expect(await told()).toEqual([]);
    for (let i = 0; i < 5; i++) expect(await ask('b', 0, 2)).toBe(0);
    expect(await told()).toEqual(['crm']);
    await ask('b', 0, 0);
    expect(await told()).toEqual([]);
    await ask('b', 0, 1);
    expect(await told()).toEqual(['crm']);
  });

  test('when slots come free that somebody waits for', async () => {
    const { ask, told } = await listen();
    await ask('a', 0, 2);
    await ask('b', 0, 2);
    expect(await told()).toEqual(['crm']);
    expect(await ask('a', 1, 2)).toBe(1);
    expect(await told()).toEqual(['crm']);
    expect(await ask('b', 0, 2)).toBe(1);
    expect(await told()).toEqual([]);
    await ask('a', 0, 0);
    expect(await told()).toEqual(['crm']);
    expect(await ask('b', 1, 2)).toBe(2);
    expect(await told()).toEqual([]);
  });

  test('when the turn of a holder ends', async () => {
    const { clock, ask, told } = await listen();
    await ask('a', 0, 1);
    await ask('b', 0, 1);
    await ask('c', 0, 1);
    expect(await told()).toEqual(['crm']);
    for (const passedMs of [900, 90]) {
      await clock.passed(passedMs);
      await ask('c', 0, 1);
      expect(await told()).toEqual([]);
    }
    await clock.passed(25);
    for (let i = 0; i < 5; i++) expect(await ask('c', 0, 1)).toBe(0);
    expect(await told()).toEqual(['crm']);
    expect(await ask('b', 0, 1)).toBe(0);
    expect(await told()).toEqual(['crm']);
    expect(await ask('c', 0, 1)).toBe(1);
  });
});

test('over any history of four workers the holds never pass the maximum', async () => {
  const worker = fc.constantFrom('a', 'b', 'c', 'd');
  const number = fc.integer({ min: 0, max: 12 });
  const step = fc.oneof(
    { weight: 8, arbitrary: fc.record({ kind: fc.constant('hold' as const), worker, gives: number, want: number }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('expire' as const), worker }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('leave' as const), worker }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('max' as const), max: number }) },
  );
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 30 }), async (steps) => {
      const account = newAccount();
      const held = new Map<string, number>();
      const sum = () => [...held.values()].reduce((a, b) => a + b, 0);
      let max = 8;
      for (const next of steps) {
        const before = sum();
        if (next.kind === 'max') max = next.max;
        else if (next.kind === 'hold') {
          const keep = Math.max(0, (held.get(next.worker) ?? 0) - next.gives);
          const { slots } = await hold(next.worker, account, { keep, want: next.want, max });
          expect(slots).toBeGreaterThanOrEqual(keep);
          held.set(next.worker, slots);
        } else {
          if (next.kind === 'expire') await expireHold(next.worker, account);
          else await gates.worker(next.worker).leave(account);
          held.delete(next.worker);
        }
        expect(sum()).toBeLessThanOrEqual(Math.max(max, before));
        expect(await heldSlots(account)).toBe(sum());
      }
    }),
    { numRuns: 60 },
  );
});
