/** Routes as a resource, and what a sample operation would come to. What a route is belongs to shared/routes; this maps it to HTTP. */
import { z } from '@hono/zod-openapi';
import { autoProvider } from '../../shared/domain/parent-id.ts';
import { ProblemError } from '../../shared/domain/problem.ts';
import { addRemembered, asksFilters, createJudge, type JsonObject, joinProviders, type RouteVerdict } from '../../shared/routes/choose.ts';
import type { RouteDirectory } from '../../shared/routes/follow.ts';
import type { Remembered } from '../../shared/routes/remembered.ts';
import { maxRoutes } from '../../shared/routes/route.ts';
import { inOrder, type RouteStore, type StoredRoute, type WrittenRoute } from '../../shared/routes/store.ts';
import type { Caller } from '../api-keys.ts';
import type { KnownProviders } from '../ingest.ts';
import { type InputRules, type OperationInput, operationSchema, readOperation } from '../operation-input.ts';
import { listAnswer, listSchema, pageLimit, pageQuery } from '../pages.ts';
import { type AddRoute, invalid, readObjectBody } from '../route.ts';
import { etagOf, ifMatchHeader, readIfMatch } from '../versions.ts';

export interface RouteDeps extends Pick<InputRules, 'maxFutureSkewMs' | 'makeRecordId'> {
  readonly store: RouteStore;
  readonly directory: Pick<RouteDirectory, 'tick'>;
  readonly remembered: Pick<Remembered, 'read'>;
  readonly providers: KnownProviders;
  /** Redis's clock, epoch ms. */
  readonly nowMs: () => number;
}

const tag = 'routes';
const nameParams = z.object({ name: z.string() });
const routeSchema = { $ref: '#/components/schemas/Route' };
const exampleFilter = { entity: 'contact', filter: 'data.contact_type == "customer"', providers: ['demo'] };

export function addRouteRoutes(add: AddRoute, deps: RouteDeps): void {
  addReading(add, deps);
  addWriting(add, deps);
  addRemoval(add, deps);
  addTrial(add, deps);
}

function addReading(add: AddRoute, { store }: RouteDeps): void {
  add(
    {
      method: 'get',
      path: '/routes',
      summary: 'The routes, in the order they are asked',
      tag,
      scope: 'read',
      query: z.object(pageQuery),
      answers: { 200: { description: 'A page of routes.', schema: listSchema(routeSchema) } },
    },
    async (c, { query, caller }) => {
      const limit = pageLimit(query);
      const visible = (await store.list()).filter((stored) => isVisible(stored, caller));
      const from = query.cursor === undefined ? 0 : positionAfter(visible, Buffer.from(query.cursor, 'base64url').toString('utf8'));
      const items = visible.slice(from, from + limit);
      const last = visible.length > from + limit ? items.at(-1) : undefined;
      return c.json(listAnswer(items.map(describeRoute), last && Buffer.from(cursorOf(last)).toString('base64url')));
    },
  );
  add(
    {
      method: 'get',
      path: '/routes/{name}',
      summary: 'One route',
      tag,
      scope: 'read',
      params: nameParams,
      answers: { 200: { description: 'The route; the header `ETag` has its version.', schema: routeSchema } },
      problems: ['not_found'],
    },
    async (c, { params, caller }) => {
      const stored = await store.get(params.name);
      if (!stored || !isVisible(stored, caller)) throw noRoute();
      return c.json(describeRoute(stored), 200, { etag: etagOf(stored.version) });
    },
  );
}

function addWriting(add: AddRoute, deps: RouteDeps): void {
  const { store, directory, providers } = deps;
  add(
    {
      method: 'post',
      path: '/routes',
      summary: 'Add a route',
      tag,
      scope: 'admin',
      body: routeSchema,
      example: { name: 'customers', ...exampleFilter },
      answers: { 201: { description: 'Added.', schema: routeSchema } },
      problems: ['conflict'],
    },
    async (c, { caller }) => {
      mayChangeRoutes(caller);
      const body = await readObjectBody(c);
      await lookUpProviders(deps, body);
      const stored = written(await store.create(body, { isProvider: providers.has }));
      await directory.tick();
      return c.json(describeRoute(stored), 201, { location: `/routes/${stored.name}`, etag: etagOf(stored.version) });
    },
  );
  add(
    {
      method: 'put',
      path: '/routes/{name}',
      summary: 'Add or replace a route',
      tag,
      scope: 'admin',
      params: nameParams,
      headers: [ifMatchHeader],
      body: routeSchema,
      example: exampleFilter,
      answers: { 200: { description: 'Replaced.', schema: routeSchema }, 201: { description: 'Added.', schema: routeSchema } },
      problems: ['conflict'],
    },
    async (c, { caller, params }) => {
      mayChangeRoutes(caller);
      const ifVersion = readIfMatch(c);
      const body = await readObjectBody(c);
      await lookUpProviders(deps, body);
      const outcome = await store.put(params.name, body, { isProvider: providers.has, ifVersion });
      const stored = written(outcome);
      await directory.tick();
      return c.json(describeRoute(stored), outcome.status === 'created' ? 201 : 200, { etag: etagOf(stored.version) });
    },
  );
}

function addRemoval(add: AddRoute, { store, directory }: RouteDeps): void {
  add(
    {
      method: 'delete',
      path: '/routes/{name}',
      summary: 'Remove a route',
      tag,
      scope: 'admin',
      params: nameParams,
      headers: [ifMatchHeader],
      answers: { 204: { description: 'Removed. What it chose before is still remembered for its records.' } },
      problems: ['not_found', 'conflict'],
    },
    async (c, { caller, params }) => {
      mayChangeRoutes(caller);
      const removed = await store.remove(params.name, { ifVersion: readIfMatch(c) });
      if (removed.status === 'not_found') throw noRoute();
      if (removed.status === 'conflict') throw changedMeanwhile(removed.version);
      await directory.tick();
      return c.body(null, 204);
    },
  );
}

const trialSchema = {
  type: 'object',
  required: ['providers', 'remembered', 'routes', 'unseen'],
  properties: {
    providers: { type: 'array', items: { type: 'string' }, description: 'Where the operation would go; none: `no_route`.' },
    remembered: { type: 'array', items: { type: 'string' }, description: 'Chosen for this record before.' },
    unseen: { type: 'array', items: { type: 'string' }, description: 'Values of the data that are larger than what filters look at.' },
    routes: {
      type: 'array',
      items: {
        type: 'object',
        required: ['name', 'matches', 'providers'],
        properties: {
          name: { type: 'string' },
          matches: { type: 'boolean' },
          providers: { type: 'array', items: { type: 'string' } },
          because: { enum: ['disabled', 'other_entity', 'other_tenant', 'filter', 'unreadable'], description: 'Why it does not match.' },
          detail: { type: 'string', description: 'Why its filter could not be evaluated.' },
        },
      },
    },
  },
};

function addTrial(add: AddRoute, deps: RouteDeps): void {
  add(
    {
      method: 'post',
      path: '/routes/try',
      summary: 'Which routes an operation would take, and why the others not; nothing is submitted or saved',
      tag,
      scope: 'read',
      body: {
        type: 'object',
        required: ['operation'],
        properties: {
          ...operationSchema.properties,
          route: { allOf: [routeSchema], description: 'A route to try with the stored ones, in place of the one of its name.' },
        },
      },
      example: { operation: 'upsert', record_id: 'grace', data: { email: 'grace@example.com', contact_type: 'customer' } },
      answers: { 200: { description: 'What would become of the operation.', schema: trialSchema } },
    },
    async (c, { caller }) => {
      const { route, ...input } = await readObjectBody(c);
      const read = readOperation({ provider: autoProvider, ...input }, inputRules(deps, caller));
      if (read.status === 'refused') throw new ProblemError(read.problem.code, read.problem);
      const stored = await withCandidate(deps, route, caller);
      return c.json(await tryRoutes(deps, stored, read.operation, input['data'] as JsonObject | undefined));
    },
  );
}

function inputRules({ nowMs, maxFutureSkewMs, makeRecordId }: RouteDeps, caller: Caller): InputRules {
  // Nothing of it is sent: which numbers a double holds is asked where operations are submitted.
  return { nowMs: nowMs(), maxFutureSkewMs, makeRecordId, boundTenant: caller.tenant, isExact: Number.isFinite };
}

/** The stored routes, with one that is not stored in place of the one of its name. */
async function withCandidate({ store, providers }: RouteDeps, input: unknown, caller: Caller): Promise<StoredRoute[]> {
  const stored = (await store.list()).filter((each) => isVisible(each, caller));
  if (input === undefined) return stored;
  const draft = store.draft(input, { isProvider: providers.has });
  if (draft.status === 'invalid') throw invalid(draft.errors.map(({ path, message }) => ({ path: `route.${path}`, message })));
  return inOrder([...stored.filter(({ name }) => name !== draft.route.name), draft.route]);
}

async function tryRoutes({ remembered, providers }: RouteDeps, routes: readonly StoredRoute[], input: OperationInput, data?: JsonObject) {
  const { change } = input;
  const judge = createJudge(change, data);
  const judged = routes.map((stored) => ({ stored, verdict: stored.status === 'ready' ? judge.judge(stored.route) : undefined }));
  const matched = joinProviders(
    judged.map(({ stored, verdict }) => (verdict?.status === 'matched' && stored.status === 'ready' ? stored.route.providers : [])),
  );
  const known = ((await remembered.read([change]))[0] ?? []).filter((name) => providers.has(name));
  return {
    providers: addRemembered(matched, known, change),
    remembered: known,
    unseen: asksFilters(change) ? judge.unseen() : [],
    routes: judged.map(({ stored, verdict }) => describeVerdict(stored, verdict)),
  };
}

function describeVerdict(stored: StoredRoute, verdict: RouteVerdict | undefined) {
  if (stored.status === 'unreadable') {
    return { name: stored.name, matches: false, providers: [], because: 'unreadable', detail: stored.reason };
  }
  const { name, providers } = stored.route;
  return verdict?.status === 'passed_over'
    ? { name, matches: false, providers, because: verdict.because, ...('detail' in verdict ? { detail: verdict.detail } : {}) }
    : { name, matches: true, providers };
}

/** Providers that another process may have just registered are looked for before a route that names them is refused. */
async function lookUpProviders({ providers }: RouteDeps, { providers: named }: JsonObject): Promise<void> {
  if (!Array.isArray(named)) return;
  const unknown = named.slice(0, 16).filter((name): name is string => typeof name === 'string' && !providers.has(name));
  if (unknown.length > 0) await providers.lookUp(new Set(unknown));
}

const describeRoute = (stored: StoredRoute) =>
  stored.status === 'ready' ? stored.view : { name: stored.name, version: stored.version, unreadable: stored.reason };

/** The stored route. Throws the problem where it was not written. */
function written(outcome: WrittenRoute): StoredRoute {
  switch (outcome.status) {
    case 'created':
    case 'replaced':
      return outcome.route;
    case 'invalid':
      throw invalid(outcome.errors);
    case 'conflict':
      throw changedMeanwhile(outcome.version);
    case 'full':
      throw new ProblemError('conflict', { detail: `there are ${maxRoutes} routes already` });
  }
}

function changedMeanwhile(version: number): ProblemError {
  return new ProblemError('conflict', { detail: version === 0 ? 'there is no such route' : `the route exists, at version ${version}` });
}

function noRoute(): ProblemError {
  return new ProblemError('not_found', { detail: 'no such route' });
}

/** Of another tenant's routes a tenant's key sees nothing. */
function isVisible(stored: StoredRoute, { tenant }: Caller): boolean {
  if (tenant === undefined) return true;
  return stored.status === 'ready' && (stored.route.tenant === undefined || stored.route.tenant === tenant);
}

/** Routes decide for everybody: a key of one tenant must not change them. */
function mayChangeRoutes({ tenant }: Caller): void {
  if (tenant !== undefined) throw new ProblemError('forbidden', { detail: 'a key bound to a tenant cannot change routes' });
}

/** `<position> <name>` of the last route of a page. */
function cursorOf(stored: StoredRoute): string {
  return `${stored.status === 'ready' ? stored.route.position : ''} ${stored.name}`;
}

/** Where a page goes on, also when the route it ended with is gone. */
function positionAfter(routes: readonly StoredRoute[], cursor: string): number {
  const [position = '', name = ''] = cursor.split(' ');
  const at = position === '' ? Number.POSITIVE_INFINITY : Number(position);
  const found = routes.findIndex((stored) => {
    const own = stored.status === 'ready' ? stored.route.position : Number.POSITIVE_INFINITY;
    return own > at || (own === at && stored.name > name);
  });
  return found < 0 ? routes.length : found;
}
