/** Registering, changing, pausing and removing providers. Configurations belong to shared/providers; this maps them to HTTP. */
import { z } from '@hono/zod-openapi';
import { queueName } from '../../shared/domain/operation.ts';
import { autoProvider } from '../../shared/domain/parent-id.ts';
import { ProblemError } from '../../shared/domain/problem.ts';
import type { ProviderError } from '../../shared/domain/provider-error.ts';
import type { ProviderDirectory } from '../../shared/providers/follow.ts';
import type { ProviderKind, ProviderKinds } from '../../shared/providers/kinds.ts';
import type { ProviderStore } from '../../shared/providers/store.ts';
import { providerWire, readOnlyFields } from '../../shared/providers/wire.ts';
import type { BacklogReader } from '../../shared/queue/backlog.ts';
import type { Purge } from '../../shared/queue/purge.ts';
import { listAnswer, listSchema, pageByName, pageQuery } from '../pages.ts';
import { type AddRoute, invalid, readObjectBody } from '../route.ts';
import { checkShownMembers, refuseUnknown, toPatchProperties } from '../shown-members.ts';
import { bindTo, ifMatchHeader, readIfMatch } from '../versions.ts';
import { changedMeanwhile, describeProvider, etagHeader, found, mayChangeProviders, unknownProvider, written } from './provider-answers.ts';
import { addTenantRoutes } from './tenants.ts';

export interface ProviderDeps {
  readonly store: ProviderStore;
  readonly directory: Pick<ProviderDirectory, 'refresh'>;
  readonly kinds: ProviderKinds;
  readonly backlog: Pick<BacklogReader, 'read'>;
  readonly purge: Purge;
  /** Forgets what the gate knows of an account. */
  readonly clearGate: (account: string) => Promise<void>;
  readonly liftPause: (account: string) => Promise<void>;
  /** An operator has paused the provider. */
  readonly countPause: (provider: string) => void;
}

const tag = 'providers';
/** `/providers/kinds` is a route of its own, and operations for `auto` are routed by their content. */
const reservedNames: ReadonlySet<unknown> = new Set(['kinds', autoProvider]);
const nameParams = z.object({ name: z.string() });
const providerSchema = { $ref: '#/components/schemas/Provider' };
/** At the simulator that `npm start` runs. */
const exampleSettings = { kind: 'http', base_url: 'http://127.0.0.1:9400', limits: [{ requests: 100, per: '1s', burst: 20 }] };
const viewSchema = {
  allOf: [providerSchema],
  description: 'Secrets show as "***".',
};
const kindSchema = {
  type: 'object',
  properties: {
    name: { type: 'string' },
    title: { type: 'string' },
    description: { type: 'string' },
    can: {
      type: 'object',
      description: 'batch, upsert, read, webhook (it tells of changes), poll (it can be asked for changes).',
      additionalProperties: { type: 'boolean' },
    },
    auth_types: { type: 'array', items: { type: 'string' } },
    schema: { type: 'object', description: 'JSON Schema of the body that registers such a provider.' },
  },
};
const patchProperties = toPatchProperties([...Object.keys(providerWire.shape), ...readOnlyFields]);
const removed: ProviderError = {
  kind: 'invalid',
  code: 'provider_removed',
  message: 'the provider was removed while the operation was queued',
};

export function addProviderRoutes(add: AddRoute, deps: ProviderDeps): void {
  addLists(add, deps);
  addWrites(add, deps);
  addPauses(add, deps);
  addRemoval(add, deps);
  addTenantRoutes(add, deps);
}

function addLists(add: AddRoute, { store, kinds }: ProviderDeps): void {
  const kindsByName = [...kinds.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
  add(
    {
      method: 'get',
      path: '/providers/kinds',
      summary: 'The kinds of provider, what each can do and what it needs',
      tag,
      scope: 'read',
      query: z.object(pageQuery),
      answers: { 200: { description: 'A page of kinds, by name.', schema: listSchema(kindSchema) } },
    },
    (c, { query }) => {
      const { items, nextCursor } = pageByName(kindsByName, ({ name }) => name, query);
      return c.json(listAnswer(items.map(describeKind), nextCursor));
    },
  );
  add(
    {
      method: 'get',
      path: '/providers',
      summary: 'The registered providers, by name',
      tag,
      scope: 'read',
      query: z.object(pageQuery),
      answers: { 200: { description: 'A page of providers.', schema: listSchema(viewSchema) } },
    },
    async (c, { query }) => {
      const { items, nextCursor } = pageByName(await store.list(), ({ name }) => name, query);
      return c.json(listAnswer(items.map(describeProvider), nextCursor));
    },
  );
  add(
    {
      method: 'get',
      path: '/providers/{name}',
      summary: 'One provider',
      tag,
      scope: 'read',
      params: nameParams,
      answers: { 200: { description: 'The provider; the header `ETag` has its version.', schema: viewSchema } },
      problems: ['not_found'],
    },
    async (c, { params }) => {
      const stored = found(await store.get(params.name), params.name);
      return c.json(describeProvider(stored), 200, etagHeader(stored));
    },
  );
  add(
    {
      method: 'get',
      path: '/providers/{name}/schema',
      summary: 'What the provider’s kind needs, as JSON Schema; a kind’s own name will do',
      tag,
      scope: 'read',
      params: nameParams,
      answers: { 200: { description: 'JSON Schema of the body that registers such a provider.', schema: { type: 'object' } } },
      problems: ['not_found'],
    },
    async (c, { params }) => {
      const stored = await store.get(params.name);
      const kind = kinds.get(stored?.status === 'ready' ? stored.config.kind : params.name);
      if (!kind) throw unknownProvider(params.name);
      return c.json(kind.schema as Record<string, never>);
    },
  );
}

function addWrites(add: AddRoute, { store, directory }: ProviderDeps): void {
  add(
    {
      method: 'post',
      path: '/providers',
      summary: 'Register a provider',
      tag,
      scope: 'admin',
      body: providerSchema,
      example: { name: 'my-crm', ...exampleSettings },
      answers: { 201: { description: 'Registered.', schema: viewSchema } },
      problems: ['conflict'],
    },
    async (c, { caller }) => {
      mayChangeProviders(caller);
      const body = await readObjectBody(c);
      refuseReserved(body['name']);
      await checkShownMembers(body, { names: readOnlyFields, readShown: async () => ({ members: unstored }) });
      const stored = written(await store.create(body), String(body['name']));
      await directory.refresh(stored.name);
      return c.json(describeProvider(stored), 201, { location: `/providers/${stored.name}`, ...etagHeader(stored) });
    },
  );
  add(
    {
      method: 'put',
      path: '/providers/{name}',
      summary: 'Register or replace a provider',
      tag,
      scope: 'admin',
      params: nameParams,
      headers: [ifMatchHeader],
      body: providerSchema,
      example: exampleSettings,
      answers: { 200: { description: 'Replaced.', schema: viewSchema }, 201: { description: 'Registered.', schema: viewSchema } },
      problems: ['conflict'],
    },
    async (c, { caller, params }) => {
      mayChangeProviders(caller);
      refuseReserved(params.name);
      const given = readIfMatch(c);
      const body = await readObjectBody(c);
      const compared = await checkShown(store, params.name, body);
      const outcome = await store.put(params.name, body, bindTo(given, compared));
      const stored = written(outcome, params.name);
      await directory.refresh(stored.name);
      return c.json(describeProvider(stored), outcome.status === 'created' ? 201 : 200, etagHeader(stored));
    },
  );
  add(
    {
      method: 'patch',
      path: '/providers/{name}',
      summary: 'Change fields of a provider; null takes a field back to its default',
      tag,
      scope: 'admin',
      params: nameParams,
      headers: [ifMatchHeader],
      body: { type: 'object', description: 'Any fields of a provider.', properties: patchProperties, additionalProperties: false },
      example: { max_concurrency: 20 },
      answers: { 200: { description: 'Changed.', schema: viewSchema } },
      problems: ['not_found', 'conflict'],
    },
    async (c, { caller, params }) => {
      mayChangeProviders(caller);
      const given = readIfMatch(c);
      const body = await readObjectBody(c);
      found(await store.get(params.name), params.name);
      refuseUnknown(body, patchProperties);
      const compared = await checkShown(store, params.name, body);
      const stored = written(await store.patch(params.name, body, bindTo(given, compared)), params.name);
      await directory.refresh(stored.name);
      return c.json(describeProvider(stored), 200, etagHeader(stored));
    },
  );
}

function addPauses(add: AddRoute, { store, directory, liftPause, countPause }: ProviderDeps): void {
  for (const [word, isPaused] of [
    ['pause', true],
    ['resume', false],
  ] as const) {
    add(
      {
        method: 'post',
        path: `/providers/{name}/${word}`,
        summary: isPaused
          ? 'Stop calling a provider; operations are accepted and wait'
          : 'Call a paused provider again, also one that is left alone because it throttled or refused credentials',
        tag,
        scope: 'admin',
        params: nameParams,
        answers: { 200: { description: 'The provider.', schema: viewSchema } },
        problems: ['not_found', 'conflict'],
      },
      async (c, { caller, params }) => {
        mayChangeProviders(caller);
        const stored = written(await store.setPaused(params.name, isPaused), params.name);
        await directory.refresh(stored.name);
        if (isPaused) countPause(stored.name);
        else for (const account of await accountsOf(store, stored.name)) await liftPause(account);
        return c.json(describeProvider(stored), 200, etagHeader(stored));
      },
    );
  }
}

/** The provider's own, and those of its tenants. */
async function accountsOf(store: ProviderDeps['store'], name: string): Promise<string[]> {
  return [name, ...(await store.listTenants(name)).map(({ tenant }) => queueName(name, tenant))];
}

function addRemoval(add: AddRoute, { store, directory, backlog, purge, clearGate }: ProviderDeps): void {
  add(
    {
      method: 'delete',
      path: '/providers/{name}',
      summary: 'Remove a provider that has nothing queued; with force=true its operations become dead letters',
      tag,
      scope: 'admin',
      params: nameParams,
      headers: [ifMatchHeader],
      query: z.object({ force: z.enum(['true', 'false'], 'expected true or false').optional() }),
      answers: { 204: { description: 'Removed.' } },
      problems: ['not_found', 'conflict'],
    },
    async (c, { caller, params: { name }, query }) => {
      mayChangeProviders(caller);
      const ifVersion = readIfMatch(c);
      const isRegistered = (await store.get(name)) !== undefined;
      const queued = (await backlog.read(name)).backlog;
      const isForced = query.force === 'true';
      // What an interrupted removal has left behind can be removed by another one.
      if (!isRegistered && !(isForced && queued > 0)) throw unknownProvider(name);
      if (queued > 0 && !isForced)
        throw new ProblemError('conflict', { detail: `${queued} operations are queued; force=true makes them dead letters` });
      const accounts = await accountsOf(store, name);
      // First the configuration: nobody accepts or calls any more, while what is queued is given up.
      const gone = await store.remove(name, { ifVersion });
      if (gone.status === 'conflict') throw changedMeanwhile(`provider ${name}`, gone.version);
      await directory.refresh(name);
      // Until nothing is left of what other API processes accepted before they heard of the removal.
      do await purge.deadLetterAll(name, removed);
      while (!(await purge.forget(name)));
      for (const account of accounts) await clearGate(account);
      return c.body(null, 204);
    },
  );
}

/** What is not stored is not paused, and has neither version nor times. */
const unstored = { paused: false };

/** The version that was compared with, if any. */
async function checkShown(
  store: ProviderDeps['store'],
  name: string,
  body: Readonly<Record<string, unknown>>,
): Promise<number | undefined> {
  const readShown = async () => {
    const stored = await store.get(name);
    return stored?.status === 'ready' ? { members: { ...stored.view }, version: stored.view.version } : { members: unstored };
  };
  return checkShownMembers(body, { address: { name }, names: readOnlyFields, readShown });
}

function refuseReserved(name: unknown): void {
  if (reservedNames.has(name)) throw invalid([{ path: 'name', message: 'is reserved' }]);
}

function describeKind({ name, title, description, can, authTypes, schema }: ProviderKind) {
  return { name, title, description, can, auth_types: authTypes, schema };
}
