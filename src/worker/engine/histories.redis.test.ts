/**
 * Random histories against an oracle that applies them one by one: order, folding, last write wins, retries, lost answers, workers that
 * die, stop or lose their leases, providers that go and come back, and every way of cutting a history into claims. HISTORIES asks for more than the usual thousand.
 */
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Bench, type PlayedWorker, startBench } from '../../../test/support/engine.ts';
import { eventually } from '../../../test/support/eventually.ts';
import { applyOneByOne, createModelProvider, type Luck, type ModelOperation, poison } from '../../../test/support/model-provider.ts';
import { providerConfig } from '../../../test/support/provider-config.ts';
import { type RedisServer, startRedis } from '../../../test/support/redis.ts';
import { operationKinds } from '../../shared/domain/operation.ts';
import type { ProviderConfig } from '../../shared/providers/config.ts';

const historiesPerRun = 25;
const runs = Math.ceil(Number(process.env['HISTORIES'] ?? 1_000) / historiesPerRun);
const base = 1_700_000_000_000;

const operation = fc
  .record({
    kind: fc.constantFrom(...operationKinds, 'update' as const, 'update' as const, 'upsert' as const),
    recordId: fc.constantFrom('a', 'a', 'b', 'c'),
    timestampMs: fc.integer({ min: 0, max: 12 }).map((n) => base + n),
    field: fc.constantFrom('x', 'y', 'z'),
    value: fc.oneof(fc.integer({ min: 0, max: 9 }), fc.constant(null)),
    isPoison: fc.integer({ min: 0, max: 11 }).map((n) => n === 0),
  })
  .map(({ kind, recordId, timestampMs, field, value, isPoison }): ModelOperation => {
    const data = kind === 'delete' || kind === 'read' ? undefined : { [field]: value, ...(isPoison ? { [poison]: true } : {}) };
    return { kind, recordId, timestampMs, data };
  });

const history = fc.record({
  operations: fc.array(operation, { minLength: 1, maxLength: 14 }),
  /** After how many operations the sender pauses, so that claims are cut there. */
  cuts: fc.array(fc.boolean(), { minLength: 14, maxLength: 14 }),
  luck: fc.array(fc.constantFrom<Luck>('fine', 'fine', 'fine', 'transient', 'answer_lost'), { minLength: 8, maxLength: 8 }),
  isCoalescing: fc.boolean(),
  maxBatch: fc.constantFrom(1, 1, 3),
});
type History = typeof history extends fc.Arbitrary<infer T> ? T : never;

let server: RedisServer;
let runNumber = 0;

beforeAll(async () => {
  server = await startRedis();
});
afterAll(async () => {
  await server.stop();
});

test(`${runs * historiesPerRun} random histories leave each record as its operations one by one would have`, async () => {
  const run = fc.record({
    histories: fc.array(history, { minLength: historiesPerRun, maxLength: historiesPerRun }),
    mishaps: fc.array(
      fc.record({
        kind: fc.constantFrom('crash', 'stop', 'lost leases', 'providers gone and back'),
        atCall: fc.integer({ min: 0, max: 200 }),
      }),
      { maxLength: 3 },
    ),
    window: fc.constantFrom(1, 3, 512),
  });
  await fc.assert(fc.asyncProperty(run, tryHistories), { numRuns: runs, endOnFailure: true });
}, 600_000);

interface Run {
  readonly histories: History[];
  readonly mishaps: readonly { readonly kind: string; readonly atCall: number }[];
  readonly window: number;
}

async function tryHistories({ histories, mishaps, window }: Run): Promise<void> {
  runNumber += 1;
  const bench = await startBench(server.url, `h${runNumber}:`, { shards: 2 });
  const providers = histories.map((each, i) => {
    let n = 0;
    return { ...each, name: `p${i}`, model: createModelProvider(), luck: () => each.luck[n++] ?? ('fine' as const), ids: [] as string[] };
  });
  const configs = providers.map(({ name, isCoalescing }) =>
    providerConfig({ name, coalesce: isCoalescing, retry: { maxAttempts: 100, baseMs: 1, maxMs: 3, maxAgeMs: 1e9 } }),
  );
  const startOne = () =>
    bench.startWorker({
      window,
      configs,
      maxBatch: Math.max(...providers.map(({ maxBatch }) => maxBatch)),
      answer: async (calls) => {
        const queue = queueOf(calls[0]?.operationId ?? '');
        const provider = providers.find(({ name }) => name === queue);
        if (!provider) throw new Error(`a call for ${queue}`);
        return provider.model.answer(calls, provider.luck);
      },
    });
  try {
    let worker: PlayedWorker = startOne();
    let isSubmitted = false;
    const submitting = Promise.all(providers.map((provider) => submitHistory(bench, provider))).then(() => {
      isSubmitted = true;
    });
    for (const { kind, atCall } of mishaps) {
      await eventually(() => isSubmitted || providers.reduce((sum, { model }) => sum + model.calls, 0) >= atCall, { intervalMs: 1 });
      await eventually(() => worker.fleet.shardsOwned === 2, { intervalMs: 1 });
      worker = await suffer(kind, worker, startOne, configs);
    }
    await submitting;
    await eventually(
      async () => expect([...(await bench.backlog.readAll()).values()].reduce((sum, { backlog }) => sum + backlog, 0)).toBe(0),
      { intervalMs: 5 },
    );
    for (const provider of providers) await compare(bench, provider);
  } finally {
    await bench.stop();
  }
}

/** Returns the worker that goes on. */
async function suffer(
  kind: string,
  worker: PlayedWorker,
  startOne: () => PlayedWorker,
  configs: readonly ProviderConfig[],
): Promise<PlayedWorker> {
  if (kind === 'lost leases') {
    worker.fleet.forget(worker.engine.dropExpired(Number.MAX_SAFE_INTEGER));
    await worker.fleet.tick();
    return worker;
  }
  if (kind === 'providers gone and back') {
    for (const { name } of configs) worker.configure(name, undefined);
    for (const config of configs) worker.configure(config.name, { ...config });
    return worker;
  }
  if (kind === 'crash') {
    worker.crash();
    await worker.expire();
  } else await worker.stop();
  return startOne();
}

const queueOf = (operationId: string) => operationId.split('.')[3];

type Tried = History & { name: string; model: ReturnType<typeof createModelProvider>; ids: string[] };

async function submitHistory(bench: Bench, { operations, cuts, name, ids }: Omit<Tried, 'luck'>): Promise<void> {
  let burst: Promise<string>[] = [];
  for (const [i, { kind, recordId, timestampMs, data }] of operations.entries()) {
    burst.push(bench.send({ provider: name, kind, recordId, timestampMs, dataJson: data && JSON.stringify(data) }));
    if (!cuts[i]) continue;
    ids.push(...(await Promise.all(burst)));
    burst = [];
  }
  ids.push(...(await Promise.all(burst)));
}

async function compare(bench: Bench, { operations, model, ids }: Omit<Tried, 'luck'>): Promise<void> {
  const oracle = applyOneByOne(operations);
  expect(model.violations).toEqual([]);
  expect(Object.fromEntries(model.records)).toEqual(Object.fromEntries(oracle.records));
  const states = await Promise.all(ids.map((id) => bench.stateOf(id)));
  const stale = new Set(states.flatMap((state, i) => (state === 'stale' ? [i] : [])));
  expect(stale).toEqual(oracle.stale);
  for (const state of states) expect(['succeeded', 'coalesced', 'stale', 'dead_lettered']).toContain(state);
}
