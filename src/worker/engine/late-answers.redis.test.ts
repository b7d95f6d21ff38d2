/** Answers that come after what they tell has changed: nothing older than that is called, and nothing twice. A real Redis, a played provider. */
import { expect, test } from 'vitest';
import { allAre, update } from '../../../test/support/bench-facts.ts';
import type { Bench } from '../../../test/support/engine.ts';
import { eventually } from '../../../test/support/eventually.ts';
import { createPlayedProvider } from '../../../test/support/played-provider.ts';
import { usePlayedBench } from '../../../test/support/use-benches.ts';
import type { Claimed } from '../../shared/queue/claim.ts';

let bench: Bench;
const open = usePlayedBench((started) => {
  bench = started;
});

const lose = () => {
  throw new Error('the answer was lost');
};
const hasEntries = ([first]: readonly Claimed[]) => first?.status === 'read' && first.entries.length > 0;

test('what was read before a newer change of its record ended is overtaken by it, however late the answer comes', async () => {
  const provider = createPlayedProvider({ holds: () => true });
  let holdAnswer = false;
  let release = () => {};
  const released = new Promise<void>((resolve) => {
    release = resolve;
  });
  let isHeld = false;
  await open(provider, {
    wrap: {
      reader: (reader) => ({
        ...reader,
        async claim(requests) {
          const answer = await reader.claim(requests);
          isHeld = holdAnswer && hasEntries(answer);
          if (isHeld) await released;
          return answer;
        },
      }),
    },
  });
  const now = Date.now();
  const newer = await update(bench, 'r', { n: 2 }, { timestampMs: now });
  await provider.calls(1);
  holdAnswer = true;
  const older = await update(bench, 'r', { n: 1 }, { timestampMs: now - 1_000 });
  await eventually(() => isHeld);
  provider.seen[0]?.end();
  await allAre(bench, 'succeeded', [newer]);
  provider.holds = () => false;
  release();
  await allAre(bench, 'stale', [older]);
  expect(provider.seen).toHaveLength(1);
});

test('what was taken over before its call ended is not called again, however late the answer comes', async () => {
  const provider = createPlayedProvider({ holds: () => true });
  let claims = 0;
  let release = () => {};
  const released = new Promise<void>((resolve) => {
    release = resolve;
  });
  let isHeld = false;
  const worker = await open(provider, {
    wrap: {
      reader: (reader) => ({
        ...reader,
        async claim(requests) {
          const answer = await reader.claim(requests);
          // The second one's is lost: what is pending is read again, with the call of the first under way.
          return hasEntries(answer) && ++claims === 2 ? lose() : answer;
        },
        async takeOver(...args) {
          const page = await reader.takeOver(...args);
          if (claims === 2 && page.status === 'taken' && page.entries.length > 0) {
            isHeld = true;
            await released;
          }
          return page;
        },
      }),
    },
  });
  const first = await update(bench, 'a');
  await provider.calls(1);
  const second = await update(bench, 'b');
  await eventually(() => isHeld);
  provider.seen[0]?.end();
  await allAre(bench, 'succeeded', [first]);
  await eventually(() => worker.engine.held.entries === 0);
  provider.holds = () => false;
  release();
  await allAre(bench, 'succeeded', [second]);
  expect(provider.operations.map(({ recordId }) => recordId)).toEqual(['a', 'b']);
});
