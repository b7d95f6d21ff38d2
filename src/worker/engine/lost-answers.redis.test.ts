/** Redis that answers late, not at all, or not for a while: nothing is lost, repeated or charged for it. A real Redis, a played provider. */
import { expect, test } from 'vitest';
import { allAre, create, pending, update, viewOf } from '../../../test/support/bench-facts.ts';
import { type Bench, crash, failed } from '../../../test/support/engine.ts';
import { eventually } from '../../../test/support/eventually.ts';
import { createPlayedProvider } from '../../../test/support/played-provider.ts';
import { providerConfig } from '../../../test/support/provider-config.ts';
import { usePlayedBench } from '../../../test/support/use-benches.ts';
import type { Claimed } from '../../shared/queue/claim.ts';

let bench: Bench;
const open = usePlayedBench((started) => {
  bench = started;
});

const lost = () => {
  throw new Error('the answer was lost');
};
/** Carries out everything, and loses the answers of the calls that `isLost` names by their number, from 1. */
function losing<A extends unknown[], T>(work: (...args: A) => Promise<T>, isLost: (call: number) => boolean) {
  let calls = 0;
  return async (...args: A): Promise<T> => {
    const call = ++calls;
    const answer = await work(...args);
    return isLost(call) ? lost() : answer;
  };
}

const hasEntries = ([first]: readonly Claimed[]) => first?.status === 'read' && first.entries.length > 0;

test('a lost answer of a claim: its entries come before those that were appended since', async () => {
  const provider = createPlayedProvider({
    answers: ({ kind }) => (kind === 'update' && !wasCreated ? failed('gone') : { status: 'accepted' }),
  });
  let wasCreated = false;
  let claims = 0;
  let more: Promise<string> | undefined;
  const { answers } = provider;
  provider.answers = (call) => {
    const outcome = answers(call);
    if (call.kind === 'create') wasCreated = true;
    return outcome;
  };
  await open(provider, {
    config: providerConfig({ coalesce: false }),
    wrap: {
      reader: (reader) => ({
        ...reader,
        async claim(requests) {
          const answer = await reader.claim(requests);
          if (++claims > 1 || !hasEntries(answer)) return answer;
          more = update(bench, 'r');
          await more;
          return lost();
        },
      }),
    },
  });
  const first = await create(bench, 'r');
  await allAre(bench, 'succeeded', [first]);
  await allAre(bench, 'succeeded', [(await more) as string]);
  expect(provider.operations.map(({ kind }) => kind)).toEqual(['create', 'update']);
});

test('a lost answer of a settling: it is written again, nothing is called again', async () => {
  const provider = createPlayedProvider();
  const finals: number[] = [];
  await open(provider, {
    wrap: { settle: (settle) => losing(settle, (call) => call <= 2) },
    onFinal: (_queue, { entry }) => void finals.push(entry.rank),
  });
  const ids = [await update(bench, 'a'), await update(bench, 'b')];
  await allAre(bench, 'succeeded', ids);
  await eventually(() => finals.length === 2);
  expect(provider.seen).toHaveLength(2);
  expect((await bench.backlog.read('crm')).backlog).toBe(0);
});

test('a lost answer of a mark: it is written again before the call', async () => {
  const hanging = createPlayedProvider({ holds: () => true });
  const dead = await open(hanging);
  const id = await update(bench, 'r');
  await hanging.calls(1);
  await crash(dead);
  const provider = createPlayedProvider();
  let marks = 0;
  bench.startWorker({
    answer: provider.answer,
    wrap: {
      reader: (reader) => ({
        ...reader,
        async mark(...args) {
          marks++;
          const isOwner = await reader.mark(...args);
          return marks === 1 ? lost() : isOwner;
        },
      }),
    },
  });
  await allAre(bench, 'succeeded', [id]);
  expect(marks).toBe(2);
  expect(provider.seen).toHaveLength(1);
  expect((await viewOf(bench, id))?.attempts).toBe(1);
});

test('lost answers while it takes over: it begins anew, and holds nothing twice', async () => {
  const hanging = createPlayedProvider({ holds: () => true });
  const dead = await open(hanging, { config: providerConfig({ maxConcurrency: 300 }), window: 1_000 });
  const ids = await Promise.all(Array.from({ length: 250 }, (_, i) => update(bench, `r${i}`)));
  await pending(bench, 250);
  await crash(dead);
  const provider = createPlayedProvider();
  bench.startWorker({
    answer: provider.answer,
    wrap: { reader: (reader) => ({ ...reader, takeOver: losing(reader.takeOver, (call) => call === 1 || call === 3) }) },
  });
  await allAre(bench, 'succeeded', ids);
  expect(provider.operations).toHaveLength(250);
});

test('an outage charges nobody and loses nothing: what was in flight is written when Redis is back, what waits is called then', async () => {
  const provider = createPlayedProvider({ holds: ({ recordId }) => recordId.startsWith('in flight') });
  let isAway = false;
  const guard =
    <A extends unknown[], T>(work: (...args: A) => Promise<T>) =>
    async (...args: A): Promise<T> =>
      isAway ? lost() : work(...args);
  const worker = await open(provider, {
    config: providerConfig({ maxConcurrency: 4 }),
    wrap: {
      reader: (reader) => ({ ...reader, claim: guard(reader.claim), takeOver: guard(reader.takeOver), mark: guard(reader.mark) }),
      settle: guard,
      gate: (gate) => ({ ...gate, acquire: guard(gate.acquire) }),
    },
  });
  const ids = [await update(bench, 'in flight 1'), await update(bench, 'in flight 2')];
  await provider.calls(2);
  isAway = true;
  for (const call of provider.seen) call.end();
  ids.push(await update(bench, 'later'));
  await eventually(() => worker.faults.length >= 4, { intervalMs: 2 });
  expect(await bench.stateOf(ids[0] as string)).toBe('processing');
  isAway = false;
  await allAre(bench, 'succeeded', ids);
  expect(provider.operations.map(({ recordId }) => recordId).toSorted()).toEqual(['in flight 1', 'in flight 2', 'later']);
  const views = await Promise.all(ids.map((id) => viewOf(bench, id)));
  expect(views.map((view) => view?.attempts)).toEqual([1, 1, 1]);
});

test('a bell that rings while a claim is under way is not lost', async () => {
  const provider = createPlayedProvider();
  let second: string | undefined;
  let rings = 0;
  const worker = await open(provider, {
    leaseTtlMs: 600_000,
    wrap: {
      reader: (reader) => ({
        ...reader,
        async claim(requests) {
          const answer = await reader.claim(requests);
          if (second !== undefined || !hasEntries(answer)) return answer;
          // Appended after the reading, and heard of before its answer.
          const before = rings;
          second = await update(bench, 'second');
          await eventually(() => rings > before, { intervalMs: 1 });
          return answer;
        },
      }),
    },
  });
  await eventually(() => worker.fleet.shardsOwned === 1);
  const { engine } = worker;
  const ring = engine.ring.bind(engine);
  engine.ring = (...args) => {
    ring(...args);
    rings++;
  };
  const first = await update(bench, 'first');
  await allAre(bench, 'succeeded', [first]);
  await allAre(bench, 'succeeded', [second as string]);
});
