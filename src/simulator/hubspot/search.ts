/** HubSpot's search: groups of filters (a record matches all of one group), one sort, and pages up to the ten-thousandth result. */
import { z } from 'zod';
import { parseJson } from '../request-reading.ts';
import type { Reply, SimulatedRequest } from '../simulated-provider.ts';
import { invalid, toReply } from './errors.ts';
import type { HubspotRecord } from './object-store.ts';
import { type ObjectType, propertyOf } from './properties.ts';
import { propertyValue, viewOf } from './record-view.ts';
import { compareValues, type Filter, matches, operators } from './search-filter.ts';
import type { HubspotSettings } from './settings.ts';
import type { CallDeps } from './single.ts';

const filterSchema = z.object({
  propertyName: z.string(),
  operator: z.enum(operators),
  value: z.string().optional(),
  highValue: z.string().optional(),
  values: z.array(z.string()).optional(),
});

const sortSchema = z.union([
  z.string().transform((name) => ({ propertyName: name.replace(/^-/, ''), direction: name.startsWith('-') ? 'DESCENDING' : 'ASCENDING' })),
  z.object({ propertyName: z.string(), direction: z.enum(['ASCENDING', 'DESCENDING']).default('ASCENDING') }),
]);

const maxFilters = 18;

const searchSchema = z
  .object({
    filterGroups: z
      .array(z.object({ filters: z.array(filterSchema).max(6) }))
      .max(5)
      .default([]),
    sorts: z.array(sortSchema).max(1).default([]),
    query: z.string().optional(),
    properties: z.array(z.string()).default([]),
    limit: z.int().min(1).max(200).default(10),
    after: z.coerce.string().regex(/^\d*$/, 'is not a paging cursor').default('0'),
  })
  .refine(({ filterGroups }) => filterGroups.flatMap(({ filters }) => filters).length <= maxFilters, `at most ${maxFilters} filters`);

type Search = z.infer<typeof searchSchema>;

export interface SearchDeps extends CallDeps {
  readonly now: () => number;
}

export function answerSearch(type: ObjectType, request: SimulatedRequest, deps: SearchDeps): Reply {
  const { settings, random } = deps;
  if (request.text.length > settings.search_max_body) {
    return toReply(invalid(`The request body is longer than ${settings.search_max_body} characters`), random);
  }
  const parsed = searchSchema.safeParse(parseJson(request.text === '' ? '{}' : request.text));
  if (!parsed.success) return toReply(invalid(`Invalid input JSON: ${z.prettifyError(parsed.error)}`), random);
  const search = parsed.data;
  const unknown = unknownProperty(type, search, settings);
  if (unknown !== undefined) return toReply(invalid(`There was a problem with the request. Property ${unknown} does not exist`), random);
  const from = Number(search.after);
  if (from + search.limit > settings.search_max_results) {
    return toReply(invalid(`Paging beyond ${settings.search_max_results} results is not supported`), random);
  }
  return page(find(type, search, deps), search, request, settings);
}

function page(found: readonly HubspotRecord[], search: Search, request: SimulatedRequest, settings: HubspotSettings): Reply {
  const end = Number(search.after) + search.limit;
  const results = found.slice(Number(search.after), end).map((record) => viewOf(record, settings, { properties: search.properties }));
  const next = { after: String(end), link: `${request.baseUrl}${request.path}?after=${end}` };
  return { status: 200, body: { total: found.length, results, ...(found.length > end && { paging: { next } }) } };
}

function find(type: ObjectType, search: Search, { store, settings, now }: SearchDeps): readonly HubspotRecord[] {
  const indexedUntilMs = now() - settings.search_lag_ms;
  const found: HubspotRecord[] = [];
  for (const record of store.all(type)) {
    if (record.archivedAtMs === undefined && record.updatedAtMs <= indexedUntilMs && isMeant(record, search)) found.push(record);
  }
  const [sort] = search.sorts;
  if (!sort) return found;
  const sign = sort.direction === 'ASCENDING' ? 1 : -1;
  // The sort is stable, so that records with the same value stay in the order of their ids.
  return found.sort((a, b) => sign * compareValues(propertyValue(a, sort.propertyName), propertyValue(b, sort.propertyName)));
}

function isMeant(record: HubspotRecord, { filterGroups, query }: Search): boolean {
  const groups = filterGroups.filter(({ filters }) => filters.length > 0);
  const fits = groups.length === 0 || groups.some(({ filters }) => filters.every((filter) => fitsFilter(record, filter)));
  return fits && (query === undefined || query === '' || hasText(record, query));
}

function fitsFilter(record: HubspotRecord, filter: Filter & { readonly propertyName: string }): boolean {
  return matches(propertyValue(record, filter.propertyName), filter);
}

function hasText(record: HubspotRecord, query: string): boolean {
  const sought = query.toLowerCase();
  return Object.values(record.values).some((value) => value.toLowerCase().includes(sought));
}

function unknownProperty(type: ObjectType, { filterGroups, sorts }: Search, settings: HubspotSettings): string | undefined {
  const names = [...filterGroups.flatMap(({ filters }) => filters), ...sorts].map(({ propertyName }) => propertyName);
  return names.find((name) => !propertyOf(type, name, settings));
}
