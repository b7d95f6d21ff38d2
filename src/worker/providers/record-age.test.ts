import { expect, it } from 'vitest';
import { acceptedAtMs, dialectCall } from '../../../test/support/dialect-calls.ts';
import { earliestMadeMs, wasThereBefore } from './record-age.ts';

const call = dialectCall();

it.each([
  ['2026-05-01T11:54:59.999Z', true],
  ['2026-05-01T11:54:59.000+0000', true],
  ['2026-05-01T11:55:00Z', false],
  ['2026-05-01T14:00:00.000+0200', false],
  ['some day', false],
  [undefined, false],
  [{}, false],
])('a record made at %s was there before an operation accepted at noon: %s', (createdAt, isOlder) => {
  expect(wasThereBefore(createdAt, call)).toBe(isOlder);
});

it('no attempt was made more than five minutes before the acceptance, whatever the clocks say', () => {
  expect(earliestMadeMs(call)).toBe(acceptedAtMs - 300_000);
  expect(earliestMadeMs({ ...call, timestampMs: acceptedAtMs + 60_000 })).toBe(acceptedAtMs - 300_000);
});

it('what a dead letter has made before it was put back is its own: it keeps the time of its change', () => {
  const putBack = { ...call, timestampMs: acceptedAtMs - 86_400_000 };
  expect(wasThereBefore('2026-04-30T12:00:01Z', putBack)).toBe(false);
  expect(wasThereBefore('2026-04-30T11:00:00Z', putBack)).toBe(true);
  // It may have been dated ahead when it was accepted first.
  expect(wasThereBefore('2026-04-30T11:54:00Z', putBack)).toBe(false);
  expect(earliestMadeMs({ ...call, timestampMs: -1e300 })).toBe(0);
});

it('an id that tells no time of acceptance says nothing of records', () => {
  expect(earliestMadeMs({ operationId: 'x', timestampMs: 0 })).toBeUndefined();
  expect(wasThereBefore('2001-01-01T00:00:00Z', { operationId: 'x', timestampMs: acceptedAtMs })).toBe(false);
});
