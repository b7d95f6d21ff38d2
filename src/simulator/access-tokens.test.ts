import { expect, test } from 'vitest';
import { createAccessTokens } from './access-tokens.ts';

const clock = { nowMs: 1_000 };
const start = (idsFrom: number) => createAccessTokens({ now: () => clock.nowMs, idsFrom }, 'crm-access-');

test('a token outlives the simulator that gave it out, and ends when it said', () => {
  const before = start(10);
  const tokens = [before.issue('an app', 5_000), before.issue('', 5_000)];
  const after = start(20);
  expect(tokens.map(after.check)).toEqual([
    { is: 'valid', app: 'an app' },
    { is: 'valid', app: '' },
  ]);
  clock.nowMs = 6_000;
  expect(after.check(tokens[0] as string)).toEqual({ is: 'expired', atMs: 6_000 });
});

test('texts that are no tokens of this provider are unknown', () => {
  const token = start(10).issue('app', 5_000);
  const other = createAccessTokens({ now: () => clock.nowMs, idsFrom: 10 }, 'other-access-').issue('app', 5_000);
  const altered = token.replace(/-\d+-\d+-/, '-10-99999999-');
  expect(altered).not.toBe(token);
  for (const text of ['', 'nonsense', other, altered, `${token}0`, token.slice(0, -1)])
    expect(start(20).check(text), text).toEqual({ is: 'unknown' });
});

test('those given out so far can be taken back, those of earlier starts with them', () => {
  const early = start(10).issue('app', 5_000);
  const tokens = start(20);
  const first = tokens.issue('app', 5_000);
  tokens.expireAll();
  const second = tokens.issue('app', 5_000);
  expect([early, first, second].map((token) => tokens.check(token).is)).toEqual(['expired', 'expired', 'valid']);
  tokens.clear();
  const third = tokens.issue('app', 5_000);
  expect([early, first, second, third].map((token) => tokens.check(token).is)).toEqual(['unknown', 'unknown', 'unknown', 'valid']);
});
