/** Points on which what is known of the CRMs disagrees or is silent: each is a switch of its simulator, and the adapter takes both ways. */
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { createSealer } from '../../src/shared/providers/seal.ts';
import { connectRedis, disconnectRedis, type RedisClient } from '../../src/shared/redis/connection.ts';
import { createKeys } from '../../src/shared/redis/keys.ts';
import type { Call, CallOutcome, ProviderAdapter } from '../../src/worker/providers/provider.ts';
import { type RedisServer, startRedis } from '../support/redis.ts';
import { aCall, openAdapter, parseConfig, perform, type Simulators, startSimulators } from '../support/simulators.ts';

type Fields = Readonly<Record<string, unknown>>;

let server: RedisServer;
let redis: RedisClient;
let simulators: Simulators;
const opened: ProviderAdapter[] = [];
let runs = 0;

beforeAll(async () => {
  server = await startRedis();
  redis = connectRedis(server.url, { name: 'uncertain-test', commandTimeoutMs: 2_000 });
  simulators = await startSimulators();
});
afterEach(async () => {
  await Promise.all(opened.splice(0).map((adapter) => adapter.close()));
});
afterAll(async () => {
  await simulators.stop();
  await disconnectRedis(redis);
  await server.stop();
});

const client = (url: string) => ({ token_url: url, client_id: 'client', client_secret: 'secret' });
const auths: Readonly<Record<string, (url: string) => Fields>> = {
  salesforce: (url) => ({ type: 'oauth2_client_credentials', ...client(`${url}/services/oauth2/token`) }),
  hubspot: () => ({ type: 'bearer', token: 'pat-test' }),
  outreach: () => ({ type: 'bearer', token: 'static-test' }),
};

/** An empty simulator with these settings, and an adapter for it; `open` gives another. `sends` takes all of its calls at once. */
async function start(kind: string, settings: Fields, part: Fields = {}) {
  const simulator = simulators.at(`/${kind}`);
  await simulator.control('DELETE', '/');
  await simulator.control('PUT', '/settings', settings);
  runs += 1;
  const parts = { redis, keys: createKeys(`u${runs}:`), sealer: createSealer(randomBytes(32)) };
  const config = parseConfig({ name: 'crm', kind, base_url: simulator.url, auth_config: auths[kind]?.(simulator.url), ...part });
  const open = () => {
    const adapter = openAdapter(config, parts);
    opened.push(adapter);
    const sends = (...calls: Call[]) => perform(adapter, calls);
    const send = async (call: Call) => (await sends(call))[0] as CallOutcome;
    return { adapter, sends, send };
  };
  return { simulator, open, ...open() };
}

const person = (n: number): Fields => ({ first_name: `First${n}`, last_name: `Last${n}`, email: `person${n}@example.com` });
const create = (n: number, data: Fields = person(n)) => aCall({ kind: 'create', recordId: `r${n}`, data });
const change = (kind: Call['kind'], outcome: CallOutcome | undefined, data?: Fields) =>
  aCall({ kind, recordId: 'r1', providerRecordId: idOf(outcome), ...(data ? { data } : {}) });
const idOf = (outcome: CallOutcome | undefined) => (outcome?.status === 'accepted' ? outcome.providerRecordId : undefined);
const errorOf = (outcome: CallOutcome | undefined) => (outcome?.status === 'failed' ? outcome.error : undefined);

describe('Salesforce', () => {
  test.each(['duplicateResut', 'duplicateResult'])('the existing record is read from %s', async (duplicate_result_name) => {
    const { send } = await start('salesforce', { duplicate_rule: 'block', duplicate_result_name });
    const made = await send(create(1));
    const error = errorOf(await send(create(2, person(1))));
    expect(error).toMatchObject({ kind: 'conflict', code: 'duplicate_record', message: expect.stringContaining(idOf(made) as string) });
  });

  test.each([404, 400, 410])('what is deleted is gone with status %i', async (deleted_status) => {
    const { send } = await start('salesforce', { deleted_status });
    const made = await send(create(1));
    await send(change('delete', made));
    expect(errorOf(await send(change('update', made, { title: 'x' })))?.kind).toBe('gone');
    expect((await send(change('delete', made))).status).toBe('accepted');
  });

  test.each([true, false])('a foreign edit is not deleted, whether DELETE looks at conditions: %s', async (conditional_deletes) => {
    const options = { protect_foreign_edits: true, external_id_field: 'Sluice_Id__c' };
    const { send, open, simulator } = await start('salesforce', { conditional_deletes }, { options });
    const made = await open().send(create(1));
    const [before, after] = [{ timestampMs: Date.now() - 60_000 }, { timestampMs: Date.now() + 60_000 }];
    const known = change('delete', made);
    const unknown = aCall({ kind: 'delete', recordId: 'r1' });
    for (const call of [known, unknown, { ...known, isInDoubt: true }])
      expect(errorOf(await send({ ...call, ...before }))).toMatchObject({ kind: 'conflict', code: 'foreign_edit' });
    expect((await simulator.control('GET', '/records')).count).toBe(1);
    for (const call of [known, known, unknown]) expect((await send({ ...call, ...after })).status).toBe('accepted');
    expect((await simulator.control('GET', '/records')).count).toBe(0);
  });

  test('an edit of our own is not taken for a foreign one, by an operation that waited for it', async () => {
    const { send } = await start('salesforce', {}, { options: { protect_foreign_edits: true } });
    const made = await send(create(1));
    const older = { timestampMs: Date.now() - 60_000 };
    expect((await send({ ...change('update', made, { title: 'a' }), ...older })).status).toBe('accepted');
    expect((await send({ ...change('update', made, { title: 'b' }), ...older })).status).toBe('accepted');
    expect((await send({ ...change('delete', made), ...older })).status).toBe('accepted');
  });

  test.each([180_000, 300_000])('an assertion may live for %i ms', async (max_assertion_ms) => {
    const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2_048 });
    const pem = { type: 'spki', format: 'pem' } as const;
    const settings = { max_assertion_ms, clock_skew_ms: 0, public_key: publicKey.export(pem) };
    const auth_config = {
      type: 'salesforce_jwt',
      login_url: simulators.at('/salesforce').url,
      client_id: 'client',
      username: 'me@example.com',
      private_key: privateKey.export({ ...pem, type: 'pkcs8' }),
    };
    const { send } = await start('salesforce', settings, { auth_config });
    expect((await send(create(1))).status).toBe('accepted');
  });
});

describe('HubSpot', () => {
  test.each([true, false])('one bad update of a batch harms no other, with partial results: %s', async (partial_update_upsert) => {
    const { sends } = await start('hubspot', { partial_update_upsert });
    const made = await sends(create(1), create(2), create(3));
    const data = [{ title: 'a' }, { no_such_property: 'b' }, { title: 'c' }];
    const outcomes = await sends(...made.map((each, n) => change('update', each, data[n])));
    if (partial_update_upsert) expect(outcomes.map(({ status }) => status)).toEqual(['accepted', 'failed', 'accepted']);
    else expect(outcomes.map((each) => errorOf(each)?.isWholeBatch)).toEqual([true, true, true]);
  });

  test.each([
    { shuffle_results: true, echo_trace_ids: true },
    { shuffle_results: true, echo_trace_ids: false },
    { shuffle_results: false, echo_trace_ids: false },
  ])('results find their records: %o', async (settings) => {
    const { sends, simulator } = await start('hubspot', settings);
    const made = await sends(...[1, 2, 3, 4, 5].map((n) => create(n)));
    const { records } = await simulator.control('GET', '/records');
    expect(made.map((each) => records[`contacts/${idOf(each)}`].properties.lastname)).toEqual([
      'Last1',
      'Last2',
      'Last3',
      'Last4',
      'Last5',
    ]);
  });

  test.each(['VALIDATION_ERROR', 'CONFLICT'])('a duplicate in a batch that says %s is linked', async (batch_conflict_category) => {
    const { send, sends } = await start('hubspot', { batch_conflict_category });
    const made = await send(create(1));
    const outcomes = await sends(create(2), create(3, person(1)), create(4));
    expect(outcomes.map(({ status }) => status)).toEqual(['accepted', 'accepted', 'accepted']);
    expect(idOf(outcomes[1])).toBe(idOf(made));
  });

  test.each(['409', '400'])('a unique value that another record has names that record: %s', async (unique_conflict) => {
    const properties = { contacts: { number: { unique: true } } };
    const { send } = await start('hubspot', { unique_conflict, properties }, { options: { on_duplicate: 'report' } });
    const made = await send(create(1, { ...person(1), number: '7' }));
    const error = errorOf(await send(create(2, { ...person(2), number: '7' })));
    expect(error).toMatchObject({ kind: 'conflict', code: 'duplicate_record', message: expect.stringContaining(idOf(made) as string) });
  });

  test.each([
    { repeated_archive: '204', bare_not_found: false },
    { repeated_archive: '404', bare_not_found: false },
    { repeated_archive: '404', bare_not_found: true },
  ])('what is archived is gone: %o', async (settings) => {
    const { send } = await start('hubspot', settings);
    const made = await send(create(1));
    await send(change('delete', made));
    expect((await send(change('delete', made))).status).toBe('accepted');
    expect(errorOf(await send(change('update', made, { title: 'x' })))?.kind).toBe('gone');
  });

  test.each([true, false])('throttling says when to go on, with Retry-After: %s', async (retry_after_on_429) => {
    const { send } = await start('hubspot', { burst_requests: 1, retry_after_on_429 });
    await send(create(1));
    const error = errorOf(await send(create(2)));
    expect(error?.kind).toBe('rate_limited');
    expect(error?.retryAfterMs).toBeGreaterThan(1_000);
    expect(error?.retryAfterMs).toBeLessThanOrEqual(10_000);
  });

  test.each(['/crm/v3/objects', '/crm/objects/2026-03', '/crm/objects/2026-09'])('the path is %s', async (api_path) => {
    const { sends } = await start('hubspot', { path_versions: [api_path] }, { options: { api_path } });
    expect((await sends(create(1), create(2))).map(({ status }) => status)).toEqual(['accepted', 'accepted']);
  });
});

/** A window of about that length in which it is the middle now, minutes from both ends: windows begin at multiples of it. */
function windowAroundNow(aboutMs: number): number {
  const nowMs = Date.now();
  return Math.round(nowMs / (Math.floor(nowMs / aboutMs) + 0.5));
}

describe('Outreach', () => {
  test.each(['validation_error', 'duplicate_value_error'])('an e-mail that is taken leads to its record: %s', async (duplicate_email) => {
    const { send } = await start('outreach', { duplicate_email });
    const made = await send(create(1));
    expect(idOf(await send(create(2, { ...person(2), email: person(1)['email'] })))).toBe(idOf(made));
  });

  test.each([
    { external_id_filter: true, unknown_filters: 'refused', found: true },
    { external_id_filter: false, unknown_filters: 'refused', found: false },
    { external_id_filter: false, unknown_filters: 'ignored', found: true },
  ])('a record is changed by our id only where the answer proves it: %o', async ({ found, ...settings }) => {
    const { send, simulator } = await start('outreach', settings);
    const made = await send(create(1));
    const update = aCall({ kind: 'update', recordId: 'r1', data: { title: 'Boss' } });
    const outcome = await send(update);
    if (found) expect(idOf(outcome)).toBe(idOf(made));
    else expect(errorOf(outcome)?.code).toBe('unknown_provider_record_id');
    expect((await send({ ...update, recordId: 'r2' })).status).toBe('failed');
    expect(JSON.stringify(await simulator.control('GET', '/records')).includes('Boss')).toBe(found);
  });

  test.each(['expiredAccessToken', 'somethingElse'])('a token is fetched anew after a 401 that says %s', async (expired_token_id) => {
    const { url } = simulators.at('/outreach');
    const refresh_token = `first-${expired_token_id}`;
    const auth_config = { type: 'oauth2_refresh_token', ...client(`${url}/oauth/token`), refresh_token };
    const { send, simulator } = await start('outreach', { expired_token_id, token_interval_ms: 0 }, { auth_config });
    await send(create(1));
    await simulator.control('POST', '/tokens/expire');
    expect(errorOf(await send(create(2)))?.code).toBe('token_expired');
  });

  test.each([
    { reset_unit: 'seconds', doubled_remaining: false },
    { reset_unit: 'milliseconds', doubled_remaining: true },
    { reset_unit: 'iso', doubled_remaining: false },
    { reset_unit: 'delta', doubled_remaining: true },
  ])('what is left of the hour, and its end, are read: %o', async (settings) => {
    const window_ms = windowAroundNow(3_600_000);
    const { adapter } = await start('outreach', { ...settings, requests: 500, window_ms });
    const prepared = adapter.prepare(create(1));
    if (prepared.status !== 'prepared') throw new Error(prepared.error.message);
    const guard = { mayStart: () => true, nextRequest: async () => ({ mayStart: () => true }) };
    const budgets = await new Promise((resolve) => adapter.send([prepared.prepared], guard, (_, told) => resolve(told)));
    const untilEndMs = window_ms - (Date.now() % window_ms);
    expect(budgets).toEqual([{ perMs: 3_600_000, requests: 500, remaining: 499, resetInMs: expect.any(Number) }]);
    const [{ resetInMs }] = budgets as [{ resetInMs: number }];
    expect(Math.abs(resetInMs - untilEndMs)).toBeLessThan(60_000);
  });

  test.each(['seconds', 'http_date', 'iso', 'absent'])('throttling says when to go on: Retry-After is %s', async (retry_after) => {
    const { send } = await start('outreach', { requests: 1, window_ms: windowAroundNow(1_800_000), retry_after });
    await send(create(1));
    const error = errorOf(await send(create(2)));
    expect(error?.kind).toBe('rate_limited');
    expect(error?.retryAfterMs).toBeGreaterThan(60_000);
    expect(error?.retryAfterMs).toBeLessThanOrEqual(1_800_000);
  });

  test.each(['refused', 'ignored'])('an attribute that is not known is %s, and nothing else suffers', async (unknown_attributes) => {
    const { send } = await start('outreach', { unknown_attributes });
    const outcome = await send(create(1, { ...person(1), no_such_attribute: 'x' }));
    if (unknown_attributes === 'ignored') expect(outcome.status).toBe('accepted');
    else expect(errorOf(outcome)).toMatchObject({ kind: 'invalid', message: expect.stringContaining('no_such_attribute') });
  });
});
