/** HubSpot's calls for one record: create, read, update, archive, and the list. */
import { objectOf, parseJson } from '../request-reading.ts';
import type { Reply, SimulatedRequest } from '../simulated-provider.ts';
import { type HubspotError, invalid, notFound, toReply } from './errors.ts';
import type { Author, HubspotRecord, ObjectStore } from './object-store.ts';
import { type ObjectType, readValues, uniqueProperties, type Values } from './properties.ts';
import { viewOf } from './record-view.ts';
import type { Route } from './routes.ts';
import type { HubspotSettings } from './settings.ts';

export interface CallDeps {
  readonly store: ObjectStore;
  readonly settings: HubspotSettings;
  readonly random: () => number;
  readonly author: Author;
}

type SingleRoute = Exclude<Route, { does: 'batch' | 'search' }>;

const maxPage = 100;

export function answerSingle(route: SingleRoute, request: SimulatedRequest, deps: CallDeps): Reply {
  switch (route.does) {
    case 'create':
      return create(route.type, request, deps);
    case 'list':
      return list(route.type, request, deps);
    case 'read':
      return read(route, request, deps);
    case 'update':
      return update(route, request, deps);
    case 'archive':
      return archive(route, deps);
  }
}

/** Why the values cannot be those of a new record, or undefined. */
export function refuseNew(type: ObjectType, values: Values): HubspotError | undefined {
  if (type.needsOneOf.some((name) => values[name])) return undefined;
  return invalid(`Error creating ${type.singular.toUpperCase()}. Some required properties were not set.`, {
    errors: [
      {
        message: `Specify at least one of ${type.needsOneOf.join(', ')}`,
        code: 'REQUIRED_FIELD',
        context: { properties: type.needsOneOf },
      },
    ],
  });
}

/** Why a value cannot be given to the record: another one has it. */
export function conflict(type: ObjectType, holder: { property: string; id: string }, settings: HubspotSettings): HubspotError {
  const name = `${type.singular[0]?.toUpperCase()}${type.singular.slice(1)}`;
  if (holder.property === 'email' || settings.unique_conflict === '409') {
    return { status: 409, category: 'CONFLICT', message: `${name} already exists. Existing ID: ${holder.id}` };
  }
  const message = `Cannot set PropertyValueCoordinates{propertyName=${holder.property}}. ${holder.id} already has that value.`;
  return invalid(message, { errors: [{ message, code: 'CONFLICTING_UNIQUE_VALUE', context: { propertyName: [holder.property] } }] });
}

/** The refusal of an `idProperty` that records are not told apart by, or undefined. */
export function refuseIdProperty(type: ObjectType, idProperty: string | undefined, settings: HubspotSettings): HubspotError | undefined {
  if (idProperty === undefined || idProperty === 'hs_object_id') return undefined;
  if (uniqueProperties(type, settings).includes(idProperty)) return undefined;
  return invalid(`Property ${idProperty} is not a unique property of ${type.singular}`, { context: { propertyName: [idProperty] } });
}

function create(type: ObjectType, request: SimulatedRequest, { store, settings, random, author }: CallDeps): Reply {
  const read = readWrite(type, request, settings);
  if ('error' in read) return toReply(read.error, random);
  const holder = store.holderOf(type, read.values);
  const refusal = holder ? conflict(type, holder, settings) : refuseNew(type, read.values);
  if (refusal) return toReply(refusal, random);
  return { status: 201, body: viewOf(store.create(type, read.values, author), settings) };
}

function update(route: SingleRoute & { does: 'read' | 'update' | 'archive' }, request: SimulatedRequest, deps: CallDeps): Reply {
  const { store, settings, random, author } = deps;
  const badProperty = refuseIdProperty(route.type, route.idProperty, settings);
  if (badProperty) return toReply(badProperty, random);
  const record = store.find(route.type, route.key, route.idProperty);
  if (!record) return missing(deps);
  const read = readWrite(route.type, request, settings);
  if ('error' in read) return toReply(read.error, random);
  const holder = store.holderOf(route.type, read.values, record.id);
  if (holder) return toReply(conflict(route.type, holder, settings), random);
  return { status: 200, body: viewOf(store.update(record, read.values, author), settings) };
}

function read(route: SingleRoute & { does: 'read' | 'update' | 'archive' }, { query }: SimulatedRequest, deps: CallDeps): Reply {
  const { store, settings, random } = deps;
  const badProperty = refuseIdProperty(route.type, route.idProperty, settings);
  if (badProperty) return toReply(badProperty, random);
  const isArchived = query.get('archived') === 'true';
  const record = isArchived ? store.findArchived(route.type, route.key) : store.find(route.type, route.key, route.idProperty);
  return record ? { status: 200, body: viewOf(record, settings, { properties: askedProperties(query) }) } : missing(deps);
}

function archive(route: SingleRoute & { does: 'read' | 'update' | 'archive' }, deps: CallDeps): Reply {
  const record = deps.store.find(route.type, route.key);
  if (record) deps.store.archive(record, deps.author);
  else if (deps.settings.repeated_archive === '404' || !deps.store.findArchived(route.type, route.key)) return missing(deps);
  return { status: 204 };
}

function list(type: ObjectType, { query, baseUrl, path }: SimulatedRequest, { store, settings, random }: CallDeps): Reply {
  const limit = Number(query.get('limit') ?? 10);
  const after = Number(query.get('after') ?? 0);
  if (!Number.isInteger(limit) || limit < 1 || limit > maxPage) return toReply(invalid(`limit must be between 1 and ${maxPage}`), random);
  if (!Number.isInteger(after)) return toReply(invalid('after is not a paging cursor'), random);
  const isArchived = query.get('archived') === 'true';
  const page: HubspotRecord[] = [];
  for (const record of store.all(type)) {
    if ((record.archivedAtMs !== undefined) === isArchived && Number(record.id) > after) page.push(record);
    if (page.length > limit) break;
  }
  const results = page.slice(0, limit).map((record) => viewOf(record, settings, { properties: askedProperties(query) }));
  const last = page[limit - 1];
  if (page.length <= limit || !last) return { status: 200, body: { results } };
  const rest = new URLSearchParams(query);
  rest.set('after', last.id);
  return { status: 200, body: { results, paging: { next: { after: last.id, link: `${baseUrl}${path}?${rest}` } } } };
}

/** `properties=a,b`, and also as several parameters; empty for the defaults. */
function askedProperties(query: URLSearchParams): readonly string[] {
  return query.getAll('properties').flatMap((names) => names.split(',').filter((name) => name !== ''));
}

function readWrite(type: ObjectType, request: SimulatedRequest, settings: HubspotSettings) {
  const body = parseJson(request.text);
  if (body === undefined) return { error: invalid('Invalid input JSON on line 1, column 1: Unexpected character') };
  return readValues(type, objectOf(body)['properties'], settings);
}

function missing({ settings, random }: CallDeps): Reply {
  return settings.bare_not_found ? { status: 404 } : toReply(notFound, random);
}
