import { describe, expect, it } from 'vitest';
import { dialectCall } from '../../../../test/support/dialect-calls.ts';
import type { OperationKind } from '../../../shared/domain/operation.ts';
import { createRoutes } from './routes.ts';

const call = dialectCall({ kind: 'update', recordId: 'r-1' });
const baseUrl = 'https://api.example.com/v1';

describe('createRoutes', () => {
  it('has the methods and paths of the contract', () => {
    const routes = createRoutes({ baseUrl, endpoints: undefined });
    const seen = Object.entries(routes).map(([kind, route]) => `${kind} ${route.method} ${String(route.path(call))}`);
    expect(seen).toEqual([
      'create POST /v1/contact',
      'update PATCH /v1/contact/r-1',
      'upsert PUT /v1/contact/r-1',
      'delete DELETE /v1/contact/r-1',
      'read GET /v1/contact/r-1',
    ]);
    expect(createRoutes({ baseUrl: 'https://api.example.com', endpoints: undefined }).create.path(call)).toBe('/contact');
  });

  it.each([
    ['a/b', 'a%2Fb'],
    ['a b?c#d', 'a%20b%3Fc%23d'],
    ['../x', '..%2Fx'],
    ['ä€😀', '%C3%A4%E2%82%AC%F0%9F%98%80'],
    ['%2e', '%252e'],
    ['...', '...'],
    ['.x', '.x'],
    ['a.b', 'a.b'],
    ['a\r\nb', 'a%0D%0Ab'],
  ])('encodes the record id %j', (recordId, segment) => {
    expect(createRoutes({ baseUrl, endpoints: undefined }).update.path({ ...call, recordId })).toBe(`/v1/contact/${segment}`);
  });

  it.each(['.', '..', '\ud800', 'x\udc00'])('has no path for the record id %j', (recordId) => {
    const { update } = createRoutes({ baseUrl, endpoints: undefined });
    expect(update.path({ ...call, recordId })).toMatchObject({ kind: 'invalid', code: 'invalid_record_id' });
    expect(update.path({ ...call, entity: recordId })).toMatchObject({ kind: 'invalid', code: 'invalid_record_id' });
  });

  it('follows endpoints where they are given', () => {
    const endpoints = { update: { method: 'POST', path: '/{entity}s/{provider_record_id}?ref={record_id}' } };
    const routes = createRoutes({ baseUrl, endpoints });
    expect(routes.update.method).toBe('POST');
    expect(routes.update.path({ ...call, providerRecordId: 'p/9' })).toBe('/v1/contacts/p%2F9?ref=r-1');
    expect(routes.update.path(call)).toMatchObject({ code: 'unknown_provider_record_id' });
    expect(routes['read' satisfies OperationKind].method).toBe('GET');
  });
});
