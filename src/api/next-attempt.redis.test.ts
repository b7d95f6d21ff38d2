/** What is told of an operation that waits for its next attempt, and of its provider, while calls are held back; the worker is played by the test. */
import { afterAll, describe, expect, it } from 'vitest';
import { register } from '../../test/support/api-bodies.ts';
import { eventually } from '../../test/support/eventually.ts';
import { gatePolicy, gateRequest } from '../../test/support/gate.ts';
import { createQueueBench, entriesOf, type QueueBench, settlementOf } from '../../test/support/queue.ts';
import { useTestApi } from '../../test/support/use-test-api.ts';
import { formatOperationId, queueName } from '../shared/domain/operation.ts';
import { createGate, type Gate } from '../shared/gate/gate.ts';
import { connectRedis, disconnectRedis, type RedisClient } from '../shared/redis/connection.ts';

const prefix = 'held:';
let redis: RedisClient;
let bench: QueueBench;
let gate: Gate;
const api = useTestApi({ SLUICE_KEY_PREFIX: prefix, SLUICE_SHARDS: '1' }, async (started) => {
  redis = connectRedis(started.redis.url, { name: 'test' });
  bench = await createQueueBench(redis, prefix);
  gate = createGate({ redis, keys: bench.keys, workerId: 'a', holdTtlMs: 60_000 });
});
afterAll(() => disconnectRedis(redis));

/** An operation whose next attempt is due at a time; its status route. */
async function retrying(provider: string, dueAtMs: number, tenant = 'default'): Promise<string> {
  const place = await bench.place({ provider, tenant });
  const queue = queueName(provider, tenant);
  const owner = await bench.own('w');
  const [entry] = entriesOf((await bench.reader('w').claim([{ ...owner, queue, count: 10 }]))[0]);
  if (!entry) throw new Error('not read');
  const trial = { attempts: 1, dueAtMs, error: { code: 'busy', message: 'm', retryable: true }, startedIn: 0, sealedTo: 0 };
  await bench.settler('w')([settlementOf(owner, { queue, retries: [{ entry, trial }] })]);
  return `/sync/status/${formatOperationId(place)}`;
}

const pause = (account: string, ms: number) => gate.acquire(account, gatePolicy(), gateRequest({ pause: { ms, reason: 'retry_after' } }));
/** For ten minutes. */
const openBreaker = (account: string) =>
  gate.acquire(
    account,
    gatePolicy({ breaker: { failureRate: 0.5, minCalls: 1, windowMs: 600_000, openMs: 600_000 } }),
    gateRequest({ failed: 1 }),
  );
const statusOf = async (url: string) => (await api.ask('GET', url)).body;
const providerStatus = async (name: string) => (await api.ask('GET', `/providers/${name}/status`)).body;

const past = 1_000;

describe('the next attempt of an operation', () => {
  it('is due when its own wait ends, where nothing holds the provider back', async () => {
    await register(api, 'free');
    const dueAtMs = Date.now() + 3_600_000;
    const url = await retrying('free', dueAtMs);
    expect(await statusOf(url)).toMatchObject({ status: 'retrying', next_attempt_at: new Date(dueAtMs).toISOString() });
  });

  it('is not before the end of a pause', async () => {
    await register(api, 'throttled');
    const url = await retrying('throttled', past);
    const { pausedUntilMs } = await pause('throttled', 600_000);
    const { next_attempt_at } = await statusOf(url);
    expect(Date.parse(next_attempt_at)).toBe(Math.ceil(pausedUntilMs));
    expect(next_attempt_at).toBe((await providerStatus('throttled')).paused_until);
  });

  it('is its own where that is later than the pause', async () => {
    await register(api, 'patient');
    const dueAtMs = Date.now() + 36_000_000;
    const url = await retrying('patient', dueAtMs);
    await pause('patient', 600_000);
    expect(await statusOf(url)).toMatchObject({ next_attempt_at: new Date(dueAtMs).toISOString() });
  });

  it('is not before the breaker lets a call try again, which the provider’s status tells, too', async () => {
    await register(api, 'broken');
    expect(await providerStatus('broken')).toMatchObject({ breaker: 'closed', breaker_until: null });
    const url = await retrying('broken', past);
    const { nowMs } = await openBreaker('broken');
    const { next_attempt_at } = await statusOf(url);
    expect(Date.parse(next_attempt_at) - nowMs).toBeGreaterThan(599_999);
    expect(Date.parse(next_attempt_at) - nowMs).toBeLessThan(600_002);
    expect(await providerStatus('broken')).toMatchObject({ breaker: 'open', breaker_until: next_attempt_at });
  });

  it('is not told where only an operator can bring it about', async () => {
    await register(api, 'stopped');
    const url = await retrying('stopped', past);
    await api.ask('POST', '/providers/stopped/pause');
    expect(await statusOf(url)).toMatchObject({ status: 'retrying', attempts: 1 });
    expect(await statusOf(url)).not.toHaveProperty('next_attempt_at');
    await api.ask('POST', '/providers/stopped/resume');
    expect(await statusOf(url)).toHaveProperty('next_attempt_at');
  });

  it('is held back by the tenant’s own account, where it has one, and not by the provider’s', async () => {
    await register(api, 'shared');
    await api.ask('PUT', '/providers/shared/tenants/acme', { max_concurrency: 2 });
    const url = await retrying('shared', past, 'acme');
    await pause('shared', 600_000);
    // The API hears of the tenant's account by an announcement.
    await eventually(async () => (await statusOf(url)).next_attempt_at === new Date(past).toISOString());
    const { pausedUntilMs } = await pause('shared:acme', 300_000);
    expect(Date.parse((await statusOf(url)).next_attempt_at)).toBe(Math.ceil(pausedUntilMs));
  });
});
