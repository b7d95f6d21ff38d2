/** How a step is written: for one record by a call of its own, for several by the batch call of the same meaning. */
import type { ExchangeRequest } from '../exchange.ts';
import { encodeSegment } from '../path-segment.ts';
import type { Addressed, Item, Step } from './step.ts';

/** An item on its way: what is asked for it next. */
export interface Asked {
  readonly item: Item;
  readonly step: Step;
}

export interface RequestPlace {
  /** Path of the object type. */
  readonly root: string;
  /** What reads ask for: without a list, HubSpot gives a few properties only. */
  readonly readProperties: readonly string[];
}

/** `asked`: at least one, all of one way and one `idProperty`. */
export function writeRequest(asked: readonly Asked[], place: RequestPlace): ExchangeRequest {
  const [only] = asked;
  if (asked.length === 1 && only && isSingle(only.step)) return writeSingle(only, place);
  return writeBatch(asked, place);
}

/** There is no call for the upsert of one record, and what cannot be part of a path goes in a body. */
export function isSingle(step: Step): boolean {
  return step.way === 'create' || (step.way !== 'upsert' && encodeSegment(step.id) !== undefined);
}

function writeSingle({ item: { properties }, step }: Asked, { root, readProperties }: RequestPlace): ExchangeRequest {
  if (step.way === 'create') return { method: 'POST', path: root, body: { properties, associations: [] } };
  const path = `${root}/${encodeSegment(step.id)}`;
  const query = new URLSearchParams();
  if (step.way === 'find' || step.way === 'read') query.set('properties', readProperties.join(','));
  if (step.idProperty !== undefined) query.set('idProperty', step.idProperty);
  const address = query.size === 0 ? path : `${path}?${query}`;
  if (step.way === 'archive') return { method: 'DELETE', path: address };
  if (step.way === 'update') return { method: 'PATCH', path: address, body: { properties } };
  return { method: 'GET', path: address, isRead: true };
}

const batchCalls = { create: 'create', find: 'read', read: 'read', update: 'update', upsert: 'upsert', archive: 'archive' } as const;

function writeBatch(asked: readonly Asked[], { root, readProperties }: RequestPlace): ExchangeRequest {
  const { way, ...address } = (asked[0] as Asked).step;
  const path = `${root}/batch/${batchCalls[way]}`;
  const inputs = asked.map(writeInput);
  if (way !== 'find' && way !== 'read') return { method: 'POST', path, body: { inputs } };
  const { idProperty } = address as Addressed;
  const naming = idProperty === undefined ? {} : { idProperty };
  return { method: 'POST', path, body: { inputs, ...naming, properties: readProperties, propertiesWithHistory: [] }, isRead: true };
}

function writeInput({ item: { call, properties }, step }: Asked): unknown {
  // By the trace id a result is told from the others; without it one bad record would fail the whole batch.
  const trace = { objectWriteTraceId: call.operationId };
  if (step.way === 'create') return { properties, associations: [], ...trace };
  const { id, idProperty } = step;
  if (step.way !== 'update' && step.way !== 'upsert') return { id };
  return { id, ...(idProperty === undefined ? {} : { idProperty }), properties, ...trace };
}
