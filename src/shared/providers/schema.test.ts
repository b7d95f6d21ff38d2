import { describe, expect, it } from 'vitest';
import { createProviderKinds } from './kinds.ts';
import { maskSecrets, type ParseOptions, parseProvider } from './schema.ts';
import { parsePeriodMs } from './wire.ts';

const options: ParseOptions = { kinds: createProviderKinds(), network: { allowPrivateNetworks: false } };
const refresh = {
  type: 'oauth2_refresh_token' as const,
  token_url: 'https://login.example.com/token',
  client_id: 'id',
  client_secret: 'secret',
  refresh_token: 'first',
};
const minimal = { name: 'crm', base_url: 'https://api.example.com/v1' };

function valid(input: unknown, more: Partial<ParseOptions> = {}) {
  const parsed = parseProvider(input, { ...options, ...more });
  if (parsed.status !== 'valid') throw new Error(JSON.stringify(parsed.errors));
  return parsed;
}

function errorsOf(input: unknown, more: Partial<ParseOptions> = {}) {
  const parsed = parseProvider(input, { ...options, ...more });
  return parsed.status === 'invalid' ? parsed.errors : [];
}

function pathsOf(input: unknown) {
  return errorsOf(input)
    .map((error) => error.path)
    .sort();
}

describe('a configuration of the least there must be', () => {
  it('has every default of the contract', () => {
    expect(valid(minimal).config).toEqual({
      name: 'crm',
      account: 'crm',
      kind: 'http',
      baseUrl: 'https://api.example.com/v1',
      auth: { type: 'none' },
      limits: [],
      maxConcurrency: 50,
      timeoutMs: 10_000,
      retry: { maxAttempts: 8, baseMs: 500, maxMs: 60_000, maxAgeMs: 86_400_000 },
      breaker: { failureRate: 0.5, minCalls: 20, windowMs: 10_000, openMs: 15_000 },
      batch: undefined,
      coalesce: true,
      conflict: 'record',
      mapping: undefined,
      unknownFields: 'pass',
      schema: undefined,
      endpoints: undefined,
      options: {},
    });
  });

  it('is the same when what came out goes in again', () => {
    const first = valid({ ...minimal, rate_limit: 600, batch: { path: '/batch' }, auth_config: { type: 'api_key', value: 'k' } });
    expect(valid(first.wire)).toEqual(first);
  });

  it('ignores what only answers show', () => {
    expect(errorsOf({ ...minimal, paused: true, version: 7, created_at: 'x', updated_at: 'y' })).toEqual([]);
  });
});

describe('limits', () => {
  it('come from the short form as requests per minute', () => {
    expect(valid({ ...minimal, rate_limit: 600, burst_limit: 25 }).config.limits).toEqual([{ requests: 600, perMs: 60_000, burst: 25 }]);
  });

  it('have a default burst of a tenth of a second’s worth, at least one', () => {
    const limits = [
      { requests: 100, per: '10s' },
      { requests: 250_000, per: '1d' },
      { requests: 3, per: '1m' },
      { requests: 5, per: '100ms' },
      { requests: 200, per: '2s' },
    ];
    expect(valid({ ...minimal, limits }).config.limits).toEqual([
      { requests: 100, perMs: 10_000, burst: 1 },
      { requests: 250_000, perMs: 86_400_000, burst: 1 },
      { requests: 3, perMs: 60_000, burst: 1 },
      { requests: 5, perMs: 100, burst: 5 },
      { requests: 200, perMs: 2_000, burst: 10 },
    ]);
  });

  it.each([
    ['10s', 10_000],
    ['500ms', 500],
    ['1m', 60_000],
    ['1h', 3_600_000],
    ['1d', 86_400_000],
    [1_500, 1_500],
  ])('take the time %s', (per, ms) => {
    expect(parsePeriodMs(per)).toBe(ms);
    expect(valid({ ...minimal, limits: [{ requests: 1, per }] }).config.limits[0]?.perMs).toBe(ms);
  });

  it.each(['', '10', 's', '1w', '-1s', '1.5s', '0s', '32d', 0, -1, 1.5])('refuse the time %s', (per) => {
    expect(errorsOf({ ...minimal, limits: [{ requests: 1, per }] })[0]?.path).toBe('limits.0.per');
  });

  it('refuse both forms at once, a burst alone, and one time twice', () => {
    expect(errorsOf({ ...minimal, rate_limit: 1, limits: [] })[0]?.path).toBe('limits');
    expect(errorsOf({ ...minimal, burst_limit: 1 })[0]?.path).toBe('burst_limit');
    const twice = [
      { requests: 1, per: '60s' },
      { requests: 2, per: '1m' },
    ];
    expect(errorsOf({ ...minimal, limits: twice })[0]?.path).toBe('limits.1.per');
  });
});

describe('what is wrong', () => {
  it.each([
    ['name', { name: 'CRM' }],
    ['name', { name: '' }],
    ['name', { name: 'a'.repeat(65) }],
    ['base_url', { base_url: 'http://127.0.0.1' }],
    ['base_url', { base_url: 'nowhere' }],
    ['kind', { kind: 'siebel' }],
    ['rate_limit', { rate_limit: 0 }],
    ['rate_limit', { rate_limit: 1_000_000_001 }],
    ['rate_limit', { rate_limit: 1.5 }],
    ['max_concurrency', { max_concurrency: 10_001 }],
    ['timeout_ms', { timeout_ms: 300_001 }],
    ['timeout_ms', { timeout_ms: '10' }],
    ['retry.max_attempts', { retry: { max_attempts: 101 } }],
    ['retry.max_ms', { retry: { base_ms: 1_000, max_ms: 10 } }],
    ['breaker.failure_rate', { breaker: { failure_rate: 0 } }],
    ['batch.max_records', { batch: { max_records: 0 } }],
    ['batch.path', { batch: { path: 'batch' } }],
    ['colour', { colour: 'red' }],
    ['retry.colour', { retry: { colour: 'red' } }],
    ['conflict', { conflict: 'newest' }],
    ['mapping.a', { mapping: { a: 1 } }],
    ['mapping.a', { mapping: { a: 'x', b: 'x' } }],
    ['schema', { schema: { type: 'nonsense' } }],
    ['schema.properties.a.pattern', { schema: { properties: { a: { pattern: '(?=a)b' } } } }],
    ['unknown_fields', { unknown_fields: 'refuse' }],
    ['endpoints.update.path', { endpoints: { update: { path: '/x/{id}' } } }],
    ['endpoints.update.path', { endpoints: { update: { path: '/x y' } } }],
    ['endpoints.read.method', { endpoints: { read: { method: 'DELETE', path: '/x' } } }],
    ['endpoints.merge', { endpoints: { merge: { path: '/x' } } }],
    ['auth_config.type', { auth_config: { type: 'kerberos' } }],
    ['auth_config.type', { auth_config: {} }],
    ['auth_config.refresh_token', { auth_config: { ...refresh, refresh_token: undefined } }],
    ['auth_config.token_url', { auth_config: { ...refresh, token_url: 'http://10.0.0.1' } }],
    ['options.colour', { options: { colour: 'red' } }],
    ['options', { options: [] }],
    ['auth_config.token', { auth_config: { type: 'bearer' } }],
    ['auth_config.token', { auth_config: { type: 'bearer', token: 'a\r\nx: y' } }],
    ['auth_config.header', { auth_config: { type: 'api_key', header: 'Host', value: 'k' } }],
    ['auth_config.header', { auth_config: { type: 'api_key', header: 'a b', value: 'k' } }],
    ['auth_config.username', { auth_config: { type: 'basic', username: 'a:b', password: 'p' } }],
    [
      'auth_config.token_url',
      { auth_config: { type: 'oauth2_client_credentials', token_url: 'http://10.0.0.1', client_id: 'a', client_secret: 'b' } },
    ],
  ])('is told with its place: %s', (path, fields) => {
    expect(errorsOf({ ...minimal, ...fields }).map((error) => error.path)).toContain(path);
  });

  it('is told of a mapping far too large, in a moment', () => {
    const mapping = Object.fromEntries(Array.from({ length: 200_000 }, (_, index) => [`a${index}`, `b${index}`]));
    expect(errorsOf({ ...minimal, mapping })).toEqual([{ path: 'mapping', message: 'must be at most 1000 fields' }]);
  });

  it.each([[undefined], [null], [[]], ['text'], [1]])('is told for a body that is %j', (input) => {
    expect(errorsOf(input)).toHaveLength(1);
  });

  it('is told all at once', () => {
    expect(pathsOf({ name: 'X', base_url: 1, colour: 2, timeout_ms: 0 })).toEqual(['base_url', 'colour', 'name', 'timeout_ms']);
  });

  it('is told all at once, whichever check finds it', () => {
    const password = { type: 'basic', username: 'u', password: '***' };
    const several = {
      name: 'X',
      kind: 'siebel',
      base_url: 'ftp://a',
      rate_limit: 0,
      retry: { base_ms: 9, max_ms: 1 },
      auth_config: password,
    };
    expect(pathsOf(several)).toEqual(['auth_config.password', 'base_url', 'kind', 'name', 'rate_limit', 'retry.max_ms']);
    expect(pathsOf({ ...minimal, kind: 'siebel', base_url: 'nowhere' })).toEqual(['base_url', 'kind']);
    const hubspot = { name: 'X', kind: 'hubspot', base_url: 'https://a.example', options: { colour: 1 }, endpoints: {} };
    expect(pathsOf(hubspot)).toEqual(['auth_config.type', 'endpoints', 'name', 'options.colour']);
  });

  it.each([
    ['of a kind that a faulty name might have been', { name: 'HubSpot', options: { record_id_property: 'x' } }, ['name']],
    ['of a kind there is not', { kind: 'siebel', options: { colour: 1 }, unknown_fields: 'refuse' }, ['kind']],
    ['of a limit that is faulty', { rate_limit: 0, burst_limit: 5 }, ['rate_limit']],
    ['of a mapping that is faulty', { mapping: { a: 1 }, unknown_fields: 'refuse' }, ['mapping.a']],
    ['of credentials that are faulty', { kind: 'hubspot', auth_config: { type: 'bearer' } }, ['auth_config.token']],
  ])('is not guessed %s', (_, fields, paths) => {
    expect(pathsOf({ ...minimal, ...fields })).toEqual(paths);
  });

  it('tells a missing field from one of a wrong type', () => {
    expect(errorsOf({ name: 'crm', timeout_ms: '10' }).map(({ message }) => message)).toEqual([
      'is required (string)',
      'must be a whole number from 1 to 300000',
    ]);
  });

  it('never holds a secret', () => {
    const errors = errorsOf({ ...minimal, auth_config: { type: 'bearer', token: 'sesame open' }, colour: 1 });
    expect(JSON.stringify(errors)).not.toContain('sesame');
  });
});

describe('secrets', () => {
  const auth = { type: 'basic' as const, username: 'u', password: 'sesame' };

  it('are masked for people', () => {
    expect(maskSecrets(valid({ ...minimal, auth_config: auth }).wire).auth_config).toEqual({ ...auth, password: '***' });
  });

  it('may be an empty password, where the user name is the key', () => {
    const empty = { type: 'basic' as const, username: 'key', password: '' };
    expect(valid({ ...minimal, auth_config: empty }).config.auth).toEqual(empty);
    expect(valid({ ...minimal, auth_config: { ...empty, password: '***' } }, { keptAuth: empty }).config.auth).toEqual(empty);
  });

  it('sent back masked keep what is stored', () => {
    const sent = { ...minimal, auth_config: { ...auth, username: 'new', password: '***' } };
    expect(valid(sent, { keptAuth: auth }).config.auth).toEqual({ type: 'basic', username: 'new', password: 'sesame' });
  });

  it('sent masked without anything stored, of another type, or not to be opened, are refused', () => {
    const sent = { ...minimal, auth_config: { ...auth, password: '***' } };
    for (const keptAuth of [undefined, { type: 'none' as const }, 'sealed with another key']) {
      expect(errorsOf(sent, { keptAuth })[0]?.path).toBe('auth_config.password');
    }
  });
});

describe('a kind', () => {
  it('is the name where it is one', () => {
    expect(valid({ ...minimal, name: 'http' }).config.kind).toBe('http');
    const http = options.kinds.get('http');
    if (!http) throw new Error('there is no http');
    const kinds = new Map([...options.kinds, ['crm', { ...http, name: 'crm', authTypes: ['bearer' as const], batch: undefined }]]);
    expect(valid({ ...minimal, auth_config: { type: 'bearer', token: 't' } }, { kinds }).config.kind).toBe('crm');
    expect(errorsOf({ ...minimal, batch: {} }, { kinds }).map((error) => error.path)).toEqual(['auth_config.type', 'batch']);
  });

  it('describes what it needs as a JSON Schema', () => {
    const schema = options.kinds.get('http')?.schema as { required: string[]; properties: Record<string, unknown> };
    expect(schema.required.sort()).toEqual(['base_url', 'name']);
    expect(Object.keys(schema.properties)).toContain('auth_config');
  });
});

it('keeps endpoints with the method of the kind where none is given', () => {
  const endpoints = {
    update: { path: '/{entity}s/{provider_record_id}' },
    upsert: { method: 'POST', path: '/{entity}s/upsert?key={record_id}' },
  };
  expect(valid({ ...minimal, endpoints }).config.endpoints).toEqual({
    update: { method: 'PATCH', path: '/{entity}s/{provider_record_id}' },
    upsert: { method: 'POST', path: '/{entity}s/upsert?key={record_id}' },
  });
});
