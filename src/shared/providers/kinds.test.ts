import { readFileSync } from 'node:fs';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { describe, expect, it } from 'vitest';
import { authWires } from './auth-wire.ts';
import { createProviderKinds } from './kinds.ts';
import { parseProvider } from './schema.ts';

const kinds = createProviderKinds();
const network = { allowPrivateNetworks: false };
const bearer = { type: 'bearer', token: 't' };

function bodyOf(kind: string, fields: object = {}): Record<string, unknown> {
  return { name: 'crm', kind, base_url: 'https://api.example.com', ...(kind === 'http' ? {} : { auth_config: bearer }), ...fields };
}

function valid(kind: string, fields: object = {}) {
  const parsed = parseProvider(bodyOf(kind, fields), { kinds, network });
  if (parsed.status === 'invalid') throw new Error(JSON.stringify(parsed.errors));
  return parsed;
}

function errorsOf(kind: string, fields: object) {
  const parsed = parseProvider(bodyOf(kind, fields), { kinds, network });
  return parsed.status === 'invalid' ? parsed.errors : [];
}

describe('a kind', () => {
  it('is one of four, and of a provider by its name where nothing else is said', () => {
    expect([...kinds.keys()].sort()).toEqual(['http', 'hubspot', 'outreach', 'salesforce']);
    const named = parseProvider({ name: 'hubspot', base_url: 'https://api.hubapi.com', auth_config: bearer }, { kinds, network });
    expect(named).toMatchObject({ status: 'valid', config: { kind: 'hubspot' } });
  });

  it('says how many records its batch call takes where it has one', () => {
    for (const kind of kinds.values()) expect(kind.batch !== undefined, kind.name).toBe(kind.can.batch);
  });

  it.each([
    ['http', { batch: undefined, limits: [] }],
    ['salesforce', { batch: { maxRecords: 200, maxWaitMs: 20 }, limits: [] }],
    ['hubspot', { batch: { maxRecords: 100, maxWaitMs: 20 }, limits: [{ requests: 100, perMs: 10_000, burst: 1 }] }],
    ['outreach', { batch: undefined, limits: [{ requests: 10_000, perMs: 3_600_000, burst: 1 }] }],
  ])('has batches and limits of its own where nobody gives any: %s', (kind, expected) => {
    expect(valid(kind).config).toMatchObject(expected);
  });

  it('fills in what is left out of a batch', () => {
    expect(valid('salesforce', { batch: { max_wait_ms: 5 } }).config.batch).toEqual({ maxRecords: 200, maxWaitMs: 5 });
    expect(valid('http', { batch: { path: '/b' } }).config.batch).toEqual({ maxRecords: 100, maxWaitMs: 20, path: '/b' });
  });

  it('gives its limits up for those that are given, even for none', () => {
    expect(valid('hubspot', { rate_limit: 60 }).config.limits).toEqual([{ requests: 60, perMs: 60_000, burst: 1 }]);
    expect(valid('hubspot', { limits: [] }).config.limits).toEqual([]);
  });

  it('is the same when what came out goes in again', () => {
    for (const kind of kinds.keys()) {
      const first = valid(kind);
      expect(valid(kind, first.wire), kind).toEqual(first);
    }
  });

  it('refuses what is not its own', () => {
    const path = (kind: string, fields: object) => errorsOf(kind, fields).map((error) => error.path);
    expect(path('hubspot', { batch: { max_records: 101 } })).toEqual(['batch.max_records']);
    expect(path('salesforce', { batch: { max_records: 201, path: '/b' } })).toEqual(['batch.max_records', 'batch.path']);
    expect(path('outreach', { batch: {} })).toEqual(['batch']);
    expect(path('outreach', { endpoints: { read: { path: '/x' } } })).toEqual(['endpoints']);
    expect(path('hubspot', { auth_config: { type: 'basic', username: 'u', password: 'p' } })).toEqual(['auth_config.type']);
    expect(path('hubspot', { auth_config: undefined })).toEqual(['auth_config.type']);
    expect(path('hubspot', { options: { bulk_threshold: 5 } })).toEqual(['options.bulk_threshold']);
    expect(path('http', { options: { api_path: '/x' } })).toEqual(['options.api_path']);
  });

  it('of a CRM knows fields without a mapping, so unknown ones can be refused', () => {
    expect(valid('hubspot', { unknown_fields: 'refuse' }).config.unknownFields).toBe('refuse');
    expect(errorsOf('http', { unknown_fields: 'refuse' })).toMatchObject([{ path: 'unknown_fields' }]);
  });
});

describe('options', () => {
  it('have the defaults of the kind', () => {
    expect(valid('salesforce', { options: { api_version: 'v64.0' } }).config.options).toMatchObject({
      api_version: 'v64.0',
      bulk_threshold: 2_000,
      objects: { contact: 'Contact' },
    });
    expect(valid('hubspot').config.options).toMatchObject({ api_path: '/crm/v3/objects', on_duplicate: 'link' });
    expect(valid('outreach').config.options).toMatchObject({ external_id: true });
    expect(valid('http', { options: {} }).config.options).toEqual({});
  });

  it('are told with their place', () => {
    expect(errorsOf('salesforce', { options: { api_version: '64', bulk_poll_ms: 'soon', objects: { contact: 'no good' } } })).toEqual(
      expect.arrayContaining([
        { path: 'options.api_version', message: 'must be a version such as v62.0' },
        { path: 'options.bulk_poll_ms', message: expect.any(String) },
        { path: 'options.objects.contact', message: 'must be the name of an object' },
      ]),
    );
  });
});

describe('the JSON Schema of the body', () => {
  const ajv = new Ajv2020({ strict: false });
  const schemaOf = (kind: string) => kinds.get(kind)?.schema as { required: string[]; properties: Record<string, { oneOf?: object[] }> };

  it.each([...kinds.keys()])('takes what registers one, and what comes out of that: %s', (kind) => {
    const validate = ajv.compile(schemaOf(kind));
    const body = bodyOf(kind);
    expect(validate(body), JSON.stringify(validate.errors)).toBe(true);
    const shown = JSON.parse(JSON.stringify(valid(kind).wire));
    expect(validate(shown), JSON.stringify(validate.errors)).toBe(true);
    expect(validate({ ...body, base_url: undefined })).toBe(false);
    expect(validate({ ...body, options: { colour: 'red' } })).toBe(false);
    expect(validate({ ...body, batch: { max_records: 1_001 } })).toBe(false);
  });

  it('says which fields are required', () => {
    expect(schemaOf('http').required.sort()).toEqual(['base_url', 'name']);
    expect(schemaOf('hubspot').required.sort()).toEqual(['auth_config', 'base_url', 'name']);
    const validate = ajv.compile(schemaOf('hubspot'));
    const { kind: _, ...kindless } = bodyOf('hubspot');
    expect(validate(kindless)).toBe(false);
    expect(validate({ ...kindless, name: 'hubspot' })).toBe(true);
  });

  it('has what the kind has, and nothing else', () => {
    const types = schemaOf('outreach').properties['auth_config']?.oneOf?.map(
      (one) => (one as { properties: { type: { const: string } } }).properties.type.const,
    );
    expect(types?.sort()).toEqual(['bearer', 'oauth2_refresh_token']);
    expect(Object.keys(schemaOf('outreach').properties)).not.toEqual(expect.arrayContaining(['batch']));
    expect(schemaOf('outreach').properties).not.toHaveProperty('endpoints');
    expect(schemaOf('salesforce').properties).toMatchObject({
      batch: { properties: { max_records: { maximum: 200, default: 200 }, max_wait_ms: { default: 20 } } },
      options: { properties: { api_version: { default: 'v62.0' } } },
    });
    expect(schemaOf('salesforce').properties).not.toMatchObject({ batch: { properties: { path: {} } } });
    expect(schemaOf('http').properties).not.toHaveProperty('options');
    expect(schemaOf('hubspot').properties).toMatchObject({ limits: { default: [{ requests: 100, per: '10s' }] } });
  });
});

it('is documented with every option and every way to authenticate', () => {
  const page = readFileSync(new URL('../../../docs/providers.md', import.meta.url), 'utf8');
  const rows = new Set([...page.matchAll(/^\| `([a-z0-9_]+)` \|/gm)].map(([, name]) => name));
  const options = [...kinds.values()].flatMap((kind) => Object.keys(kind.options?.shape ?? {}));
  for (const name of [...options, ...Object.keys(authWires)]) expect(rows, name).toContain(name);
  const kindsTable = page.split('## Kinds')[1]?.split('\n## ')[0] ?? '';
  for (const [row = ''] of kindsTable.matchAll(/^\| `auth_config` \|.*$/gm)) {
    const cells = row.split('|').slice(2, 6);
    for (const [index, name] of ['http', 'salesforce', 'hubspot', 'outreach'].entries())
      expect([...(cells[index] ?? '').matchAll(/`([a-z0-9_]+)`/g)].map(([, type]) => type)).toEqual(kinds.get(name)?.authTypes);
  }
});
