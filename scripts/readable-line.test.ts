import { expect, test } from 'vitest';
import { readableLine } from './readable-line.mjs';

const head = { level: 'warn', time: '2026-11-21T19:20:14.000Z', pid: 7, hostname: 'h', name: 'worker' };
const read = (entry: Record<string, unknown>) => readableLine(JSON.stringify({ ...head, ...entry }));

test('an operation that was given up is named with its provider, record, error and shard', () => {
  const givenUp = {
    operation_id: '3.hubspot.1-0',
    provider: 'hubspot',
    tenant: 'acme',
    shard: 3,
    entity: 'contact',
    record_id: 'joan clarke',
    code: 'not_found',
    reason: 'the provider answered 404',
    retryable: false,
    provider_status: 404,
    msg: 'operation given up',
  };
  const about =
    'provider=hubspot tenant=acme record_id="joan clarke" operation_id=3.hubspot.1-0 code=not_found provider_status=404 shard=3';
  expect(read(givenUp)).toBe(`warn operation given up: the provider answered 404 (${about})`);
  expect(read({ ...givenUp, tenant: 'default' })).not.toContain('tenant');
});

test('a cause is told once, and an entry with nothing more is its message alone', () => {
  expect(read({ err: { message: 'no room', stack: 'at x' }, msg: 'a fault of our own' })).toBe('warn a fault of our own: no room');
  expect(read({ err: { message: 'no room' }, msg: 'no room' })).toBe('warn no room');
  expect(read({ level: 'info', msg: 'api listens', host: '127.0.0.1', port: 8080 })).toBe('api listens (host=127.0.0.1 port=8080)');
  expect(read({ level: 'info', settings: { PORT: 1 }, msg: 'api starts' })).toBe('api starts');
});

test('what is no log entry stays as it is', () => {
  for (const line of ['', 'plain words', '{"half":', 'null', '7', '{"no":"message"}']) expect(readableLine(line)).toBe(line);
});

test('a long value is cut, and no value can steer the terminal', () => {
  expect(read({ msg: 'x', record_id: 'r'.repeat(500) }).length).toBeLessThan(200);
  expect(read({ msg: 'x', record_id: 'a\u001b[2Jb', reason: 'c\r\nd\u0007' })).toBe('warn x: c d  (record_id=a [2Jb)');
});
