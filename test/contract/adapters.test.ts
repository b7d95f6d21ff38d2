/** What every kind's adapter promises, tried against its simulator: one suite for all of them. */
import { randomBytes } from 'node:crypto';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { createSealer } from '../../src/shared/providers/seal.ts';
import { connectRedis, disconnectRedis, type RedisClient } from '../../src/shared/redis/connection.ts';
import { createKeys } from '../../src/shared/redis/keys.ts';
import type { Call, CallOutcome, ProviderAdapter } from '../../src/worker/providers/provider.ts';
import { type RedisServer, startRedis } from '../support/redis.ts';
import { aCall, openAdapter, parseConfig, perform, type SimulatorMount, type Simulators, startSimulators } from '../support/simulators.ts';

interface Kind {
  readonly name: string;
  readonly mount: string;
  auth(url: string): Readonly<Record<string, unknown>> | undefined;
  readonly part?: Readonly<Record<string, unknown>>;
  /** How its simulator is told to throttle, and to refuse one record. */
  readonly throttled: Readonly<Record<string, unknown>>;
  readonly refused: Readonly<Record<string, unknown>>;
  /** Data that it refuses, and what its error has to name. */
  readonly bad?: { readonly data: Readonly<Record<string, unknown>>; readonly names: string };
  /** Settings of its simulator. */
  readonly settings?: Readonly<Record<string, unknown>>;
}

const oauth = (path: string) => (url: string) => ({
  type: 'oauth2_refresh_token',
  token_url: `${url}${path}`,
  client_id: 'client',
  client_secret: 'client-secret-of-ours',
  // Each is spent once, and a simulator remembers.
  refresh_token: `first-refresh-token-${runs}`,
});
const badEmail = { data: { first_name: 'B', last_name: 'B', email: 'no e-mail' }, names: 'email' };

const kinds: readonly Kind[] = [
  {
    name: 'http',
    mount: '',
    auth: () => undefined,
    part: { batch: { path: '/batch', max_records: 50, max_wait_ms: 1 } },
    throttled: { status: 429, retry_after: 7 },
    refused: { status: 422 },
  },
  {
    name: 'salesforce',
    mount: '/salesforce',
    auth: oauth('/services/oauth2/token'),
    throttled: { status: 403, code: 'REQUEST_LIMIT_EXCEEDED', message: 'TotalRequests Limit exceeded.' },
    refused: { status: 400, code: 'FIELD_CUSTOM_VALIDATION_EXCEPTION', message: 'not like this' },
    bad: badEmail,
  },
  {
    name: 'hubspot',
    mount: '/hubspot',
    auth: oauth('/oauth/v1/token'),
    throttled: { status: 429 },
    refused: { status: 400 },
    bad: badEmail,
  },
  {
    name: 'outreach',
    mount: '/outreach',
    auth: oauth('/oauth/token'),
    throttled: { status: 429, retry_after: 7 },
    refused: { status: 422 },
    bad: badEmail,
    settings: { token_interval_ms: 0 },
  },
];

let server: RedisServer;
let redis: RedisClient;
let simulators: Simulators;
let opened: ProviderAdapter[];
let runs = 0;

beforeAll(async () => {
  server = await startRedis();
  redis = connectRedis(server.url, { name: 'contract-test', commandTimeoutMs: 2_000 });
  simulators = await startSimulators();
});
afterAll(async () => {
  await simulators.stop();
  await disconnectRedis(redis);
  await server.stop();
});
beforeEach(() => {
  opened = [];
});
afterEach(async () => {
  await Promise.all(opened.map((adapter) => adapter.close()));
});

const person = (n: number) => ({ first_name: `First${n}`, last_name: `Last${n}`, email: `person${n}@example.com` });
const idOf = (outcome: CallOutcome | undefined) => (outcome?.status === 'accepted' ? outcome.providerRecordId : undefined);
const errorOf = (outcome: CallOutcome | undefined) => (outcome?.status === 'failed' ? outcome.error : undefined);

describe.each(kinds)('the adapter of the kind $name', (kind) => {
  let simulator: SimulatorMount;
  let open: (part?: Readonly<Record<string, unknown>>) => ProviderAdapter;

  beforeEach(async () => {
    simulator = simulators.at(kind.mount);
    await simulator.control('DELETE', '/');
    await simulator.control('PUT', '/settings', kind.settings ?? {});
    runs += 1;
    const keys = createKeys(`c${runs}:`);
    const sealer = createSealer(randomBytes(32));
    open = (part = {}) => {
      const auth_config = kind.auth(simulator.url);
      const wire = { name: 'crm', kind: kind.name, base_url: simulator.url, ...(auth_config ? { auth_config } : {}), ...part };
      const adapter = openAdapter(parseConfig(wire), { redis, keys, sealer });
      opened.push(adapter);
      return adapter;
    };
  });

  const one = async (adapter: ProviderAdapter, call: Call) => (await perform(adapter, [call]))[0] as CallOutcome;
  const countRecords = async () => (await simulator.control('GET', '/records')).count as number;
  const create = (n: number, part: Partial<Call> = {}) => aCall({ kind: 'create', recordId: `r${n}`, data: person(n), ...part });

  test('carries out the five operations, and keeps to the record it made', async () => {
    const adapter = open();
    const created = await one(adapter, create(1));
    expect(created.status).toBe('accepted');
    const providerRecordId = idOf(created);
    expect(providerRecordId).toEqual(expect.any(String));
    const known = { recordId: 'r1', providerRecordId };
    expect((await one(adapter, aCall({ kind: 'update', ...known, data: { title: 'Boss' } }))).status).toBe('accepted');
    expect((await one(adapter, aCall({ kind: 'upsert', ...known, data: { ...person(1), title: 'Queen' } }))).status).toBe('accepted');
    const read = await one(adapter, aCall({ kind: 'read', ...known }));
    expect(JSON.stringify(read)).toContain('Queen');
    expect(await countRecords()).toBe(1);
    expect((await one(adapter, aCall({ kind: 'delete', ...known }))).status).toBe('accepted');
    // A delete that is repeated finds it gone, which is what was wanted.
    expect((await one(adapter, aCall({ kind: 'delete', ...known }))).status).toBe('accepted');
  });

  test('a field that is null is cleared', async () => {
    const adapter = open();
    const providerRecordId = idOf(await one(adapter, create(1, { dataJson: JSON.stringify({ ...person(1), title: 'Boss' }) })));
    await one(adapter, aCall({ kind: 'update', recordId: 'r1', providerRecordId, data: { title: null } }));
    expect(JSON.stringify(await one(adapter, aCall({ kind: 'read', recordId: 'r1', providerRecordId })))).not.toContain('Boss');
  });

  test('an update of a record that is gone says so', async () => {
    const adapter = open();
    const providerRecordId = idOf(await one(adapter, create(1)));
    await one(adapter, aCall({ kind: 'delete', recordId: 'r1', providerRecordId }));
    const outcome = await one(adapter, aCall({ kind: 'update', recordId: 'r1', providerRecordId, data: { title: 'x' } }));
    expect(errorOf(outcome)?.kind).toBe('gone');
  });

  test('refusals that pass, that last and that ask for fewer calls are told apart', async () => {
    const adapter = open();
    await one(adapter, create(1));
    await simulator.faults({ error_rate: 1, status: 503 });
    expect(errorOf(await one(adapter, create(2)))?.kind).toBe('transient');
    await simulator.faults({ error_rate: 1, ...kind.refused });
    expect(errorOf(await one(adapter, create(3)))?.kind).toBe('invalid');
    await simulator.faults({ error_rate: 1, ...kind.throttled });
    const throttled = errorOf(await one(adapter, create(4)));
    expect(throttled?.kind).toBe('rate_limited');
    expect(throttled?.retryAfterMs).toBeGreaterThanOrEqual(1_000);
  });

  test.skipIf(!kind.bad)('a bad field is refused before the call, and named', async () => {
    const adapter = open();
    const outcome = await one(adapter, aCall({ kind: 'create', recordId: 'bad', data: kind.bad?.data }));
    expect(errorOf(outcome)).toMatchObject({ kind: 'invalid', message: expect.stringContaining(kind.bad?.names ?? '') });
    expect((await simulator.control('GET', '/calls')).calls).toBe(0);
  });

  test('a create whose answer was lost is not made twice', async () => {
    const adapter = open();
    await one(adapter, create(1));
    await simulator.faults({ drop_rate: 1, operations: ['create'] });
    const lost = create(2);
    expect(errorOf(await one(adapter, lost))?.kind).toBe('ambiguous');
    await simulator.faults({});
    expect(await countRecords()).toBe(2);
    const repeated = await one(adapter, { ...lost, isInDoubt: true });
    // The kind http leaves that to the idempotency key.
    expect(repeated.status).toBe('accepted');
    expect(idOf(repeated)).toEqual(expect.any(String));
    expect(await countRecords()).toBe(2);
  });

  test.each([502, 503, 504])('a create that a gateway answered with %i after it was carried out is not made twice', async (status) => {
    const adapter = open();
    for (const [n, pause] of [{}, { retry_after: 1 }].entries()) {
      await simulator.faults({ applied_error_rate: 1, status, operations: ['create'], ...pause });
      const answered = create(n);
      const error = errorOf(await one(adapter, answered));
      expect(error?.retryAfterMs).toBe(n === 0 ? undefined : 1_000);
      await simulator.faults({});
      expect(await countRecords()).toBe(n + 1);
      const repeated = await one(adapter, { ...answered, isInDoubt: error?.isInDoubt === true || error?.kind === 'ambiguous' });
      expect(idOf(repeated)).toEqual(expect.any(String));
      expect(await countRecords()).toBe(n + 1);
    }
  });

  test('a create in doubt that was not carried out is made now', async () => {
    const adapter = open();
    expect((await one(adapter, create(1, { isInDoubt: true }))).status).toBe('accepted');
    expect(await countRecords()).toBe(1);
  });

  const batches = () => (kind.name === 'outreach' ? undefined : open(kind.part));

  test('one bad record of a batch fails alone', async ({ skip }) => {
    const adapter = batches();
    if (!adapter) return skip();
    await simulator.faults({ error_rate: 1, ...kind.refused, record_ids: ['r3', 'person3@example.com'] });
    const calls = [1, 2, 3, 4, 5].map((n) => create(n));
    expect(calls.every((call) => adapter.canShareBatch(calls[0] as Call, call))).toBe(true);
    const outcomes = await perform(adapter, calls);
    expect(outcomes.map(({ status }) => status)).toEqual(['accepted', 'accepted', 'failed', 'accepted', 'accepted']);
    expect(errorOf(outcomes[2])?.isWholeBatch).toBeFalsy();
    expect(await countRecords()).toBe(4);
  });

  test('a batch goes in one call, and its results find their records', async ({ skip }) => {
    const adapter = batches();
    if (!adapter) return skip();
    const created = await perform(
      adapter,
      [1, 2, 3, 4].map((n) => create(n)),
    );
    const ids = created.map(idOf);
    expect(new Set(ids).size).toBe(4);
    expect(ids).not.toContain(undefined);
    await simulator.control('DELETE', '/calls');
    const updates = ids.map((providerRecordId, i) =>
      aCall({ kind: 'update', recordId: `r${i + 1}`, providerRecordId, data: { title: `T${i + 1}` } }),
    );
    expect((await perform(adapter, updates)).map(({ status }) => status)).toEqual(['accepted', 'accepted', 'accepted', 'accepted']);
    expect((await simulator.control('GET', '/calls')).calls).toBe(1);
    const third = await one(open(), aCall({ kind: 'read', recordId: 'r3', providerRecordId: ids[2] }));
    expect(JSON.stringify(third)).toContain('T3');
  });

  test('a batch that is refused whole is marked, so that it is taken apart', async ({ skip }) => {
    const adapter = batches();
    if (!adapter) return skip();
    await simulator.faults({ error_rate: 1, ...kind.refused, record_ids: ['r2', 'person2@example.com'], whole_batch: true });
    const outcomes = await perform(
      adapter,
      [1, 2, 3].map((n) => create(n)),
    );
    expect(outcomes.map((outcome) => errorOf(outcome)?.isWholeBatch)).toEqual([true, true, true]);
  });

  test('tokens that expire under load are fetched once for four workers', async ({ skip }) => {
    if (!kind.auth(simulator.url)) return skip();
    const workers = [open(), open(), open(), open()];
    const countTokenCalls = async () =>
      ((await simulator.control('GET', '/calls')).items as { path: string }[]).filter(({ path }) => path.includes('token')).length;
    const ids = await Promise.all(workers.map((adapter, n) => one(adapter, create(n))));
    expect(ids.map(({ status }) => status)).toEqual(Array(4).fill('accepted'));
    expect(await countTokenCalls()).toBe(1);
    await simulator.control('POST', '/tokens/expire');
    // As if the minute had passed in which a token may be asked for once.
    for (const key of await redis.keys(`c${runs}:*pace*`)) await redis.del(key);
    const work = Array.from({ length: 40 }, (_, n) => async () => {
      const call = aCall({ kind: 'update', recordId: `r${n % 4}`, providerRecordId: idOf(ids[n % 4]), data: { title: `T${n}` } });
      for (let tries = 0; tries < 20; tries += 1) {
        const outcome = await one(workers[n % 4] as ProviderAdapter, call);
        if (outcome.status === 'accepted') return 'accepted';
        if (errorOf(outcome)?.code !== 'token_expired') return outcome;
      }
      return 'never';
    });
    expect(new Set(await Promise.all(work.map((each) => each())))).toEqual(new Set(['accepted']));
    expect(await countTokenCalls()).toBe(2);
  });

  test('credentials that are refused fail with a clear reason, and show no secret', async ({ skip }) => {
    if (!kind.auth(simulator.url)) return skip();
    await simulator.faults({ error_rate: 1, status: 400, token_calls: true });
    const error = errorOf(await one(open(), create(1)));
    expect(error).toMatchObject({ kind: 'auth', code: 'credentials_refused' });
    expect(JSON.stringify(error)).not.toContain('client-secret-of-ours');
    expect(JSON.stringify(error)).not.toContain('first-refresh-token');
  });
});
