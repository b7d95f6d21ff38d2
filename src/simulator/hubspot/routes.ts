/** What a request to the simulated HubSpot asks for. */
import { objectOf, parseJson, segmentsOf } from '../request-reading.ts';
import type { SimulatedItem, SimulatedRequest } from '../simulated-provider.ts';
import { type ObjectType, objectType, uniqueProperties } from './properties.ts';
import type { HubspotSettings } from './settings.ts';

const batchActions = ['create', 'read', 'update', 'upsert', 'archive'] as const;
export type BatchAction = (typeof batchActions)[number];

export type Route =
  | { readonly does: 'create'; readonly type: ObjectType }
  | { readonly does: 'list'; readonly type: ObjectType }
  | { readonly does: 'search'; readonly type: ObjectType }
  | {
      readonly does: 'read' | 'update' | 'archive';
      readonly type: ObjectType;
      readonly key: string;
      readonly idProperty: string | undefined;
    }
  | { readonly does: 'batch'; readonly type: ObjectType; readonly action: BatchAction };

export interface BatchInput {
  readonly id: string | undefined;
  readonly idProperty: string | undefined;
  readonly traceId: string | undefined;
  readonly properties: unknown;
}

/** Undefined for what the simulated HubSpot has no route for. */
export function routeOf(request: SimulatedRequest, settings: HubspotSettings): Route | undefined {
  const base = settings.path_versions.find((path) => request.path.startsWith(`${path}/`));
  const [name = '', second, third, ...more] = (base && segmentsOf(request.path.slice(base.length))) || [];
  const type = objectType(name);
  if (!type || more.length > 0) return undefined;
  const { method } = request;
  if (second === undefined) return onCollection(type, method);
  if (second === 'search' && third === undefined) return method === 'POST' ? { does: 'search', type } : undefined;
  if (second === 'batch') {
    const action = batchActions.find((one) => one === third);
    return action && method === 'POST' ? { does: 'batch', type, action } : undefined;
  }
  const does = { GET: 'read', PATCH: 'update', DELETE: 'archive' } as const;
  const single = does[method as keyof typeof does];
  if (single === undefined || third !== undefined) return undefined;
  return { does: single, type, key: second, idProperty: request.query.get('idProperty') || undefined };
}

function onCollection(type: ObjectType, method: string): Route | undefined {
  if (method === 'POST') return { does: 'create', type };
  return method === 'GET' ? { does: 'list', type } : undefined;
}

/** The inputs of a batch call, or undefined when the body does not have the form of one. */
export function inputsOf(body: unknown): readonly BatchInput[] | undefined {
  const { inputs } = objectOf(body);
  if (!Array.isArray(inputs)) return undefined;
  const read = inputs.map((input: unknown): BatchInput | undefined => {
    const { id, idProperty, objectWriteTraceId, properties } = objectOf(input);
    if (![id, idProperty, objectWriteTraceId].every(isTextOrAbsent)) return undefined;
    return { id: textOf(id), idProperty: textOf(idProperty), traceId: textOf(objectWriteTraceId), properties };
  });
  return read.includes(undefined) ? undefined : (read as BatchInput[]);
}

function isTextOrAbsent(value: unknown): boolean {
  return value === undefined || value === null || typeof value === 'string';
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}

const operations: Readonly<Record<BatchAction, string>> = {
  create: 'create',
  read: 'read',
  update: 'update',
  upsert: 'upsert',
  archive: 'delete',
};

/** For the log, and for faults that mean single records. */
export function contentsOf(request: SimulatedRequest, settings: HubspotSettings) {
  const route = routeOf(request, settings);
  if (!route || route.does === 'list' || route.does === 'search') return { isBatch: false, items: [] };
  const body = parseJson(request.text);
  if (route.does === 'batch') {
    const items = (inputsOf(body) ?? []).map((input) => itemOf(input, operations[route.action], route.type, settings));
    return { isBatch: true, items };
  }
  const id = route.does === 'create' ? undefined : route.key;
  const input = { id, idProperty: undefined, traceId: undefined, properties: objectOf(body)['properties'] };
  return { isBatch: false, items: [itemOf(input, operations[route.does], route.type, settings)] };
}

/** A create is named by its trace id, else by its e-mail address; every unique value is an alias. */
export function itemOf(input: BatchInput, operation: string, type: ObjectType, settings: HubspotSettings): SimulatedItem {
  const properties = objectOf(input.properties);
  const values = uniqueProperties(type, settings).map((name) => properties[name]);
  const aliases = [input.traceId, ...values].filter((value) => typeof value === 'string');
  const recordId = input.id ?? aliases[0] ?? '';
  return { operationId: input.traceId ?? '', operation, entity: type.singular, recordId, timestamp: '', aliases };
}
