/**
 * Outreach's lists: filters by attribute (several values, or a range whose ends count), a sort, and pages by cursor. The cursor is the
 * place of the page's last record in the order, so that records that change between two pages shift none of the others.
 */
import type { Reply, SimulatedRequest } from '../simulated-provider.ts';
import { attributeOf, documentOf } from './documents.ts';
import { mediaType, type OutreachError, toReply, validationError } from './errors.ts';
import type { Resource, ResourceStore } from './resource-store.ts';
import type { ResourceType } from './resource-types.ts';
import type { OutreachSettings } from './settings.ts';

interface ListDeps {
  readonly store: ResourceStore;
  readonly settings: OutreachSettings;
  readonly apiUrl: string;
}

interface Filter {
  readonly name: string;
  /** Of the newer syntax: `gte`, `lte`, `gt`, `lt`; else undefined. */
  readonly operator: string | undefined;
  readonly value: string;
}

interface Sort {
  readonly name: string;
  readonly sign: 1 | -1;
}

interface Cursor {
  readonly key: string | number;
  readonly id: number;
}

const defaultPage = 50;

export function list(type: ResourceType, request: SimulatedRequest, deps: ListDeps): Reply {
  const { query } = request;
  const filters = readFilters(type, query, deps.settings);
  if ('error' in filters) return toReply(filters.error);
  const size = Number(query.get('page[size]') ?? query.get('page[limit]') ?? defaultPage);
  if (!Number.isInteger(size) || size < 1 || size > deps.settings.max_page) {
    return toReply(validationError(`The page size must be between 1 and ${deps.settings.max_page}.`, '/page/size'));
  }
  const sort = readSort(type, query);
  if (sort === undefined) return toReply(validationError(`Cannot sort by '${query.get('sort')}'.`, '/sort'));
  const after = readCursor(query.get('page[after]'));
  if (after === 'invalid') return toReply(validationError('The cursor is not valid.', '/page/after'));
  const found = matching(type, filters.filters, deps.store).sort((a, b) => compare(sort, placeOf(a, sort), placeOf(b, sort)));
  const rest = after === undefined ? found : found.filter((resource) => compare(sort, placeOf(resource, sort), after) > 0);
  return page({ type, request, found, rest, size, sort }, deps);
}

interface Page {
  readonly type: ResourceType;
  readonly request: SimulatedRequest;
  readonly found: readonly Resource[];
  readonly rest: readonly Resource[];
  readonly size: number;
  readonly sort: Sort;
}

function page({ type, request, found, rest, size, sort }: Page, { apiUrl, settings }: ListDeps): Reply {
  const { query } = request;
  const shown = rest.slice(0, size);
  const last = shown.at(-1);
  const fields = query.get(`fields[${type.name}]`)?.split(',');
  const wantsCount = query.has('count') ? query.get('count') !== 'false' : settings.count;
  const links: Record<string, string> = { first: urlWith(apiUrl, type, query, undefined) };
  if (rest.length > size && last) links['next'] = urlWith(apiUrl, type, query, placeOf(last, sort));
  const body = {
    data: shown.map((resource) => documentOf(resource, apiUrl, fields)),
    ...(wantsCount && { meta: { count: found.length } }),
    links,
  };
  return { status: 200, body, contentType: mediaType };
}

function urlWith(apiUrl: string, type: ResourceType, query: URLSearchParams, cursor: Cursor | undefined): string {
  const next = new URLSearchParams(query);
  next.delete('page[after]');
  if (cursor) next.set('page[after]', Buffer.from(JSON.stringify(cursor)).toString('base64url'));
  return `${apiUrl}/${type.plural}?${next}`;
}

function readCursor(text: string | null): Cursor | 'invalid' | undefined {
  if (text === null || text === '') return undefined;
  try {
    const { key, id } = JSON.parse(Buffer.from(text, 'base64url').toString()) as Cursor;
    return typeof id === 'number' && key !== undefined ? { key, id } : 'invalid';
  } catch {
    return 'invalid';
  }
}

function readFilters(
  type: ResourceType,
  query: URLSearchParams,
  settings: OutreachSettings,
): { readonly filters: readonly Filter[] } | { readonly error: OutreachError } {
  const filters: Filter[] = [];
  for (const [parameter, value] of query) {
    const [, name, , part] = /^filter\[(\w+)\](\[(\w+)\])?$/.exec(parameter) ?? [];
    if (name === undefined) continue;
    const isRelation = type.toOne.includes(name) && part === 'id';
    if (isRelation || isFilterable(type, name, settings)) {
      filters.push({ name, operator: isRelation ? undefined : part, value });
    } else if (settings.unknown_filters === 'refused') {
      return { error: { ...validationError(`'${name}' is not a filter of '${type.name}'.`, `/filter/${name}`), id: 'invalidFilter' } };
    }
  }
  return { filters };
}

function isFilterable(type: ResourceType, name: string, settings: OutreachSettings): boolean {
  if (name === 'id') return true;
  if (name === 'externalId') return settings.external_id_filter;
  return type.attributes.get(name)?.isFilterable ?? false;
}

function matching(type: ResourceType, filters: readonly Filter[], store: ResourceStore): Resource[] {
  return candidates(type, filters, store).filter((resource) => filters.every((filter) => fits(resource, filter)));
}

/** By id or address they are found without looking through them all. */
function candidates(type: ResourceType, filters: readonly Filter[], store: ResourceStore): Resource[] {
  const byEmail = type.name === 'prospect' ? filters.find(({ name }) => name === 'emails') : undefined;
  const byId = filters.find(({ name, value }) => name === 'id' && !value.includes('..'));
  if (byId) return byId.value.split(',').flatMap((id) => store.find(type, Number(id)) ?? []);
  if (byEmail) return [...new Set(byEmail.value.split(',').flatMap((email) => store.byEmail(email.trim()) ?? []))];
  return [...store.all(type)];
}

function fits(resource: Resource, { name, operator, value }: Filter): boolean {
  const held = name === 'id' ? resource.id : (attributeOf(resource, name) ?? linkedId(resource, name));
  if (held === undefined || held === null) return false;
  if (operator !== undefined) return holds(operator, order(held, value));
  const [from, to] = value.split('..');
  if (from !== undefined && to !== undefined) {
    return (from === 'neginf' || order(held, from) >= 0) && (to === 'inf' || order(held, to) <= 0);
  }
  const sought = value.split(',').map((one) => one.trim());
  const helds = Array.isArray(held) ? held : [held];
  return helds.some((one) => sought.some((each) => order(one, each) === 0));
}

function linkedId({ relationships }: Resource, name: string): unknown {
  return (relationships[name] as { id?: number } | null | undefined)?.id;
}

function holds(operator: string, compared: number): boolean {
  const truths: Readonly<Record<string, boolean>> = {
    gte: compared >= 0,
    lte: compared <= 0,
    gt: compared > 0,
    lt: compared < 0,
    eq: compared === 0,
  };
  return truths[operator] ?? false;
}

/** Numbers as such, times by the moment, text without regard to case. */
function order(held: unknown, sought: string): number {
  if (typeof held === 'number') return held - Number(sought);
  const [a, b] = [String(held), sought];
  const isTime = /^\d{4}-\d{2}-\d{2}/.test(a) && /^\d{4}-\d{2}-\d{2}/.test(b);
  return isTime ? Date.parse(a) - Date.parse(b) : a.toLowerCase().localeCompare(b.toLowerCase());
}

/** By id where nothing is asked for; undefined when it is not an attribute to sort by. */
function readSort(type: ResourceType, query: URLSearchParams): Sort | undefined {
  const asked = query.get('sort') ?? 'id';
  const name = asked.replace(/^-/, '');
  const isKnown = name === 'id' || type.attributes.get(name)?.isFilterable;
  return isKnown ? { name, sign: asked.startsWith('-') ? -1 : 1 } : undefined;
}

function placeOf(resource: Resource, { name }: Sort): Cursor {
  const key = name === 'id' ? resource.id : attributeOf(resource, name);
  return { key: typeof key === 'number' ? key : String(key ?? ''), id: resource.id };
}

/** Records with the same key stand in the order of their ids. */
function compare({ sign }: Sort, a: Cursor, b: Cursor): number {
  if (a.key === b.key) return a.id - b.id;
  return sign * (a.key < b.key ? -1 : 1);
}
