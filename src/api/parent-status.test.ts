import { describe, expect, it } from 'vitest';
import { type ChildStatus, describeParent, sumUp } from './parent-status.ts';

describe('the status of the whole', () => {
  it.each<[ChildStatus[], string]>([
    [['queued', 'processing', 'succeeded'], 'queued'],
    [['processing', 'retrying', 'dead_lettered'], 'retrying'],
    [['processing', 'dead_lettered'], 'processing'],
    [['succeeded', 'dead_lettered', 'cancelled'], 'dead_lettered'],
    [['succeeded', 'cancelled', 'stale'], 'cancelled'],
    [['succeeded', 'coalesced', 'stale'], 'succeeded'],
    [['stale'], 'succeeded'],
    [['expired', 'queued'], 'queued'],
    [['expired', 'succeeded'], 'succeeded'],
  ])('of %j is %s', (children, expected) => {
    expect(sumUp(children)).toBe(expected);
    expect(sumUp([...children].reverse())).toBe(expected);
  });
});

describe('the whole', () => {
  const child = {
    operation_id: '1.a.1.crm',
    status: 'succeeded',
    operation: 'update',
    provider: 'crm',
    tenant: 'default',
    entity: 'contact',
    record_id: 'r',
    attempts: 2,
    accepted_at: '2026-11-20T10:00:00.000Z',
    completed_at: '2026-11-20T10:00:05.000Z',
  } as const;

  it('is complete when its last child is', () => {
    const later = { ...child, provider: 'erp', attempts: 1, completed_at: '2026-11-20T10:00:09.000Z' };
    const expired = { operation_id: '1.a.1.shop', provider: 'shop', status: 'expired' } as const;
    expect(describeParent('auto.x', 'auto', [expired, later, child])).toMatchObject({
      operation_id: 'auto.x',
      provider: 'auto',
      status: 'succeeded',
      record_id: 'r',
      attempts: 3,
      accepted_at: child.accepted_at,
      completed_at: later.completed_at,
      operations: [expired, later, child],
    });
  });

  it('tells the next attempt, and no end, while a child is open', () => {
    const waiting = { ...child, status: 'retrying', completed_at: undefined, next_attempt_at: '2026-11-20T10:01:00.000Z' } as const;
    expect(describeParent('auto.x', 'auto', [child, waiting])).toMatchObject({
      status: 'retrying',
      completed_at: undefined,
      next_attempt_at: waiting.next_attempt_at,
    });
  });
});
