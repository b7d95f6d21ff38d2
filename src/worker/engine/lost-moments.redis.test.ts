/**
 * Redis comes back without its last moments, as after a power cut with `appendfsync everysec` or a fail-over to a replica that is behind: what
 * its workers hold in memory is then not what it holds.
 */
import { afterEach, expect, test } from 'vitest';
import { allAre, pending, update } from '../../../test/support/bench-facts.ts';
import { type Bench, failed, startBench } from '../../../test/support/engine.ts';
import { eventually } from '../../../test/support/eventually.ts';
import { createPlayedProvider, startWith } from '../../../test/support/played-provider.ts';
import { providerConfig, retrying } from '../../../test/support/provider-config.ts';
import { type RedisServer, startRedis } from '../../../test/support/redis.ts';

const leaseTtlMs = 2_000;
let server: RedisServer;
let bench: Bench;
afterEach(async () => {
  await bench.stop();
  await server.stop();
});

async function start(): Promise<void> {
  server = await startRedis();
  bench = await startBench(server.url, 'lost:', { shards: 1 });
}

/** Redis loses what it was told since it last saved. */
async function cutPower(): Promise<void> {
  await server.kill9();
  await server.restart();
  await eventually(async () => (await bench.redis.ping()) === 'PONG');
}

test('what is accepted afterwards is done, though its rank was another operation’s before', async () => {
  await start();
  const provider = createPlayedProvider({
    answers: ({ recordId }) => (recordId === 'waits' ? failed('transient', { retryAfterMs: 3_600_000 }) : { status: 'accepted' }),
  });
  startWith(bench, provider, { leaseTtlMs, config: providerConfig({ retry: retrying({ maxMs: 3_600_000 }) }) });
  await allAre(bench, 'succeeded', [await update(bench, 'first')]);
  await server.ask('SAVE');
  const lost = await update(bench, 'waits');
  await eventually(async () => (await bench.stateOf(lost)) === 'retrying');
  await cutPower();
  const ids = [await update(bench, 'after'), await update(bench, 'next')];
  await allAre(bench, 'succeeded', ids);
  expect(provider.operations.map(({ recordId }) => recordId).toSorted()).toEqual(['after', 'first', 'next', 'waits']);
});

test('an operation whose end was lost is repeated, in doubt', async () => {
  await start();
  const provider = createPlayedProvider({ holds: () => true });
  startWith(bench, provider, { leaseTtlMs });
  const id = await update(bench, 'r');
  await provider.calls(1);
  await pending(bench, 1);
  await server.ask('SAVE');
  provider.seen[0]?.end();
  await allAre(bench, 'succeeded', [id]);
  provider.holds = () => false;
  await cutPower();
  await allAre(bench, 'succeeded', [id]);
  expect(provider.operations.map(({ isInDoubt }) => isInDoubt)).toEqual([false, true]);
});

test('where nothing was lost, a call that ends meanwhile is not repeated', async () => {
  await start();
  const provider = createPlayedProvider({ holds: () => true });
  const worker = startWith(bench, provider, { leaseTtlMs: 9_000 });
  const id = await update(bench, 'r');
  await provider.calls(1);
  await pending(bench, 1);
  await server.ask('SAVE');
  await server.kill9();
  provider.seen[0]?.end();
  await server.restart();
  await allAre(bench, 'succeeded', [id]);
  // It has noticed, and has taken the shard again.
  await eventually(async () => Number(await bench.redis.hget(bench.keys.lease(0), 'epoch')) === 2);
  await eventually(() => worker.fleet.shardsOwned === 1);
  provider.holds = () => false;
  await allAre(bench, 'succeeded', [await update(bench, 'next')]);
  expect(provider.operations.map(({ recordId }) => recordId)).toEqual(['r', 'next']);
});

test('restarts of a Redis that loses nothing charge no attempt for the calls that they cut', async () => {
  await start();
  const provider = createPlayedProvider({ holds: () => true });
  const worker = startWith(bench, provider, { leaseTtlMs, config: providerConfig({ retry: retrying({ maxAttempts: 2 }) }) });
  const id = await update(bench, 'r');
  await provider.calls(1);
  await pending(bench, 1);
  for (const restart of [1, 2, 3]) {
    await server.ask('SAVE');
    await cutPower();
    await eventually(async () => Number(await bench.redis.hget(bench.keys.lease(0), 'epoch')) === restart + 1, { timeoutMs: 15_000 });
    await eventually(() => worker.fleet.shardsOwned === 1);
    await provider.calls(restart + 1);
  }
  expect(await bench.stateOf(id)).toBe('processing');
}, 60_000);
