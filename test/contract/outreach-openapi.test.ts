/** What the adapter for Outreach sends, and what the simulator answers, beside Outreach's published description. */
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { Ajv, type ValidateFunction } from 'ajv';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createSealer } from '../../src/shared/providers/seal.ts';
import { connectRedis, disconnectRedis, type RedisClient } from '../../src/shared/redis/connection.ts';
import { createKeys } from '../../src/shared/redis/keys.ts';
import type { ProviderAdapter } from '../../src/worker/providers/provider.ts';
import { type RedisServer, startRedis } from '../support/redis.ts';
import { aCall, openAdapter, parseConfig, perform, type SimulatorMount, type Simulators, startSimulators } from '../support/simulators.ts';

// biome-ignore lint/suspicious/noExplicitAny: a JSON document whose shape is somebody else's.
type Json = any;

const description: Json = JSON.parse(readFileSync(new URL('fixtures/outreach-prospects.json', import.meta.url), 'utf8'));
const jsonApi = 'application/vnd.api+json';

let server: RedisServer;
let redis: RedisClient;
let simulators: Simulators;
let simulator: SimulatorMount;
let adapter: ProviderAdapter;

beforeAll(async () => {
  server = await startRedis();
  redis = connectRedis(server.url, { name: 'openapi-test', commandTimeoutMs: 2_000 });
  simulators = await startSimulators();
  simulator = simulators.at('/outreach');
  await simulator.control('PUT', '/settings', { token_interval_ms: 0 });
  const parts = { redis, keys: createKeys('o:'), sealer: createSealer(randomBytes(32)) };
  const token_url = `${simulator.url}/oauth/token`;
  const auth_config = {
    type: 'oauth2_refresh_token',
    token_url,
    client_id: 'client-1',
    client_secret: 'secret-of-client-1',
    refresh_token: 'of-the-adapter',
  };
  adapter = openAdapter(parseConfig({ name: 'outreach', base_url: simulator.url, auth_config }), parts);
});
afterAll(async () => {
  await adapter.close();
  await simulators.stop();
  await disconnectRedis(redis);
  await server.stop();
});

/** Names that the description does not know are faults, and null may stand for whatever has no value. */
function strictly(schema: Json): Json {
  if (Array.isArray(schema)) return schema.map(strictly);
  if (typeof schema !== 'object' || schema === null) return schema;
  if (typeof schema.$ref === 'string') return strictly(description.components.schemas[schema.$ref.split('/').at(-1) as string]);
  const { properties, items, type, ...rest } = schema;
  const { format: _format, ...facts } = rest;
  return {
    ...facts,
    ...(type === undefined ? {} : { type: [type, 'null'] }),
    ...(items === undefined ? {} : { items: strictly(items) }),
    ...(properties === undefined
      ? {}
      : {
          properties: Object.fromEntries(Object.entries(properties).map(([name, each]) => [name, strictly(each)])),
          additionalProperties: false,
        }),
  };
}

/** For a whole answer's `data`; `links` is JSON:API's, and not described. */
function checkResource(): ValidateFunction {
  const { properties, ...rest } = strictly({ $ref: '#/components/schemas/prospectResponse' });
  return new Ajv({ strict: false, allErrors: true }).compile({ ...rest, properties: { ...properties, links: {} } });
}

/** For the attributes of a prospect, as they are sent and as they come back. */
function checkAttributes(): ValidateFunction {
  return new Ajv({ strict: false, allErrors: true }).compile(strictly({ $ref: '#/components/schemas/prospect' }));
}

const everything = {
  first_name: 'Ada',
  last_name: 'Lovelace',
  email: 'ada@example.com',
  phone: '+1 212 555 0123',
  mobile_phone: '+1 212 555 0124',
  company: 'Analytical Engines',
  title: 'Countess',
  website: 'https://example.com',
  street: '12 St James’s Square',
  city: 'London',
  state: 'London',
  postal_code: 'SW1Y 4JH',
  country: 'GB',
};

test('every attribute that the adapter writes is one that the description has, with a value of its type', async () => {
  const [created] = await perform(adapter, [aCall({ kind: 'create', recordId: 'r1', data: everything })]);
  expect(created?.status).toBe('accepted');
  const providerRecordId = created?.status === 'accepted' ? created.providerRecordId : undefined;
  const cleared = Object.fromEntries(
    Object.keys(everything)
      .filter((name) => name !== 'email')
      .map((name) => [name, null]),
  );
  const [updated] = await perform(adapter, [aCall({ kind: 'update', recordId: 'r1', providerRecordId, data: cleared })]);
  expect(updated?.status).toBe('accepted');
  const { items } = (await simulator.control('GET', '/calls')) as { items: { method: string; path: string; body: string }[] };
  const writes = items.filter(({ path, method }) => path.includes('prospects') && method !== 'GET');
  expect(writes.map(({ method }) => method)).toEqual(['POST', 'PATCH']);
  for (const { body, method } of writes) {
    const { data } = JSON.parse(body);
    expect(data.type).toBe('prospect');
    const readOnly: readonly string[] = description.components.schemas.prospect['x-read-only'];
    expect(Object.keys(data.attributes).filter((name) => readOnly.includes(name))).toEqual([]);
    if (method === 'PATCH') expect(data.id).toEqual(expect.any(Number));
    const check = checkAttributes();
    expect(check(data.attributes), JSON.stringify(check.errors)).toBe(true);
  }
});

test('its look-ups use filters that the description lists', async () => {
  await simulator.control('DELETE', '/calls');
  const [found] = await perform(adapter, [aCall({ kind: 'create', recordId: 'r1', data: everything, isInDoubt: true })]);
  expect(found?.status, JSON.stringify(found)).toBe('accepted');
  const { items } = (await simulator.control('GET', '/calls')) as { items: { method: string; query: string }[] };
  const names = items.filter(({ method }) => method === 'GET').flatMap(({ query }) => [...new URLSearchParams(query).keys()]);
  expect(names.length).toBeGreaterThan(0);
  // What the description's badges say, since it lists no parameters.
  const filterable: readonly string[] = description.components.schemas.prospect['x-filterable'];
  const filters = names.flatMap((name) => /^filter\[(\w+)\]/.exec(name)?.[1] ?? []);
  expect(filters).not.toEqual([]);
  expect(filters.filter((name) => !filterable.includes(name))).toEqual([]);
});

test('what the simulator answers to a create, a read, a list and an error is as described', async () => {
  const form = new URLSearchParams({
    grant_type: 'refresh_token',
    client_id: 'client-2',
    client_secret: 'secret-of-client-2',
    refresh_token: 'of-the-test',
  });
  const { access_token } = (await (await fetch(`${simulator.url}/oauth/token`, { method: 'POST', body: form })).json()) as Json;
  const call = async (method: string, path: string, body?: unknown) => {
    const headers = { authorization: `Bearer ${access_token}`, 'content-type': jsonApi };
    const answer = await fetch(`${simulator.url}/api/v2${path}`, {
      method,
      headers,
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    expect(answer.headers.get('content-type')).toContain(jsonApi);
    return { status: answer.status, json: (await answer.json()) as Json };
  };
  const attributes = { firstName: 'Grace', emails: ['grace@example.com'] };
  const created = await call('POST', '/prospects', { data: { type: 'prospect', attributes } });
  const { id } = created.json.data;
  const relationships = { owner: { data: { type: 'user', id: 1 } }, account: { data: null } };
  const updated = await call('PATCH', `/prospects/${id}`, { data: { type: 'prospect', id, attributes: { score: 1.5 }, relationships } });
  const read = await call('GET', `/prospects/${id}`);
  const list = await call('GET', '/prospects?filter[emails]=grace@example.com');
  expect([created.status, updated.status, read.status, list.status]).toEqual([201, 200, 200, 200]);
  for (const data of [created.json.data, updated.json.data, read.json.data, ...list.json.data]) {
    expect(data).toMatchObject({ type: 'prospect', id: expect.any(Number), links: { self: expect.any(String) } });
    const check = checkResource();
    expect(check(data), JSON.stringify(check.errors)).toBe(true);
  }
  const refused = await call('POST', '/prospects', { data: { type: 'prospect', attributes } });
  expect(refused.status).toBe(422);
  const errors = new Ajv({ strict: false }).compile(description.paths['/prospects'].post.responses['422'].content[jsonApi].schema);
  expect(errors(refused.json), JSON.stringify(errors.errors)).toBe(true);
  expect(refused.json.errors[0]).toMatchObject({ id: expect.any(String), title: expect.any(String), detail: expect.any(String) });
});
