/** Registering, changing, pausing and removing providers. Configurations belong to shared/providers; this maps them to HTTP. */
import { z } from '@hono/zod-openapi';
import type { ProviderError } from '../../shared/domain/provider-error.ts';
import type { ProviderDirectory } from '../../shared/providers/follow.ts';
import type { ProviderKinds } from '../../shared/providers/kinds.ts';
import type { ProviderStore, StoredProvider, Written } from '../../shared/providers/store.ts';
import type { BacklogReader } from '../../shared/queue/backlog.ts';
import type { Purge } from '../../shared/queue/purge.ts';
import type { Caller } from '../api-keys.ts';
import { listAnswer, listSchema, pageLimit, pageQuery } from '../pages.ts';
import { ProblemError } from '../problem.ts';
import { type AddRoute, invalid, readObjectBody } from '../route.ts';

export interface ProviderDeps {
  readonly store: ProviderStore;
  readonly directory: Pick<ProviderDirectory, 'refresh'>;
  readonly kinds: ProviderKinds;
  readonly backlog: Pick<BacklogReader, 'read'>;
  readonly purge: Purge;
  /** Forgets what the gate knows of an account. */
  readonly clearGate: (account: string) => Promise<void>;
}

const tag = 'providers';
/** `/providers/<name>` would be hidden behind the route of this name. */
const reservedNames: ReadonlySet<unknown> = new Set(['kinds']);
const nameParams = z.object({ name: z.string().max(200) });
const providerSchema = { $ref: '#/components/schemas/Provider' };
const viewSchema = {
  allOf: [providerSchema],
  description: 'With `paused`, `version`, `created_at` and `updated_at`; secrets show as "***".',
};
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
}

function addLists(add: AddRoute, { store, kinds }: ProviderDeps): void {
  const kindSchema = { type: 'object', properties: { name: { type: 'string' }, title: { type: 'string' }, schema: { type: 'object' } } };
  add(
    {
      method: 'get',
      path: '/providers/kinds',
      summary: 'The kinds of provider, what each can do and what it needs',
      tag,
      scope: 'read',
      answers: { 200: { description: 'All kinds.', schema: listSchema(kindSchema) } },
    },
    (c) =>
      c.json(
        listAnswer(
          [...kinds.values()].map(({ authTypes, ...kind }) => ({ ...kind, auth_types: authTypes })),
          undefined,
        ),
      ),
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
      const limit = pageLimit(query);
      const after = query.cursor === undefined ? '' : Buffer.from(query.cursor, 'base64url').toString('utf8');
      const rest = (await store.list()).filter(({ name }) => name > after);
      const items = rest.slice(0, limit);
      const last = rest.length > limit ? items.at(-1) : undefined;
      return c.json(listAnswer(items.map(describeProvider), last && Buffer.from(last.name).toString('base64url')));
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
      answers: { 200: { description: 'The provider.', schema: viewSchema } },
      problems: ['not_found'],
    },
    async (c, { params }) => c.json(describeProvider(found(await store.get(params.name), params.name))),
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
      answers: { 201: { description: 'Registered.', schema: viewSchema } },
      problems: ['conflict'],
    },
    async (c, { caller }) => {
      mayChangeProviders(caller);
      const body = await readObjectBody(c);
      refuseReserved(body['name']);
      const stored = written(await store.create(body), String(body['name']));
      await directory.refresh(stored.name);
      return c.json(describeProvider(stored), 201, { location: `/providers/${stored.name}` });
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
      body: providerSchema,
      answers: { 200: { description: 'Replaced.', schema: viewSchema }, 201: { description: 'Registered.', schema: viewSchema } },
      problems: ['conflict'],
    },
    async (c, { caller, params }) => {
      mayChangeProviders(caller);
      refuseReserved(params.name);
      const outcome = await store.put(params.name, await readObjectBody(c));
      const stored = written(outcome, params.name);
      await directory.refresh(stored.name);
      return c.json(describeProvider(stored), outcome.status === 'created' ? 201 : 200);
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
      body: { type: 'object', description: 'Any fields of a provider.', additionalProperties: true },
      answers: { 200: { description: 'Changed.', schema: viewSchema } },
      problems: ['not_found', 'conflict'],
    },
    async (c, { caller, params }) => {
      mayChangeProviders(caller);
      const stored = written(await store.patch(params.name, await readObjectBody(c)), params.name);
      await directory.refresh(stored.name);
      return c.json(describeProvider(stored));
    },
  );
}

function addPauses(add: AddRoute, { store, directory }: ProviderDeps): void {
  for (const [word, isPaused] of [
    ['pause', true],
    ['resume', false],
  ] as const) {
    add(
      {
        method: 'post',
        path: `/providers/{name}/${word}`,
        summary: isPaused ? 'Stop calling a provider; operations are accepted and wait' : 'Call a paused provider again',
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
        return c.json(describeProvider(stored));
      },
    );
  }
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
      query: z.object({ force: z.enum(['true', 'false']).optional() }),
      answers: { 204: { description: 'Removed.' } },
      problems: ['not_found', 'conflict'],
    },
    async (c, { caller, params: { name }, query }) => {
      mayChangeProviders(caller);
      found(await store.get(name), name);
      const queued = (await backlog.read(name)).backlog;
      if (queued > 0 && query.force !== 'true')
        throw new ProblemError('conflict', { detail: `${queued} operations are queued; force=true makes them dead letters` });
      if (queued > 0) await purge.deadLetterAll(name, removed);
      await store.remove(name);
      await directory.refresh(name);
      // Until nothing is left of what other API processes accepted before they heard of the removal.
      do await purge.deadLetterAll(name, removed);
      while (!(await purge.forget(name)));
      await clearGate(name);
      return c.body(null, 204);
    },
  );
}

function describeProvider(stored: StoredProvider) {
  return stored.status === 'ready' ? stored.view : { name: stored.name, unreadable: stored.reason };
}

function unknownProvider(name: string): ProblemError {
  return new ProblemError('unknown_provider', { status: 404, detail: `no provider ${name.slice(0, 64)} is registered` });
}

export function found<T>(stored: T | undefined, name: string): T {
  if (stored === undefined) throw unknownProvider(name);
  return stored;
}

/** The stored provider. Throws the problem where it was not written. */
function written(outcome: Written, name: string): StoredProvider {
  switch (outcome.status) {
    case 'created':
    case 'replaced':
      return outcome.provider;
    case 'invalid':
      throw invalid(outcome.errors);
    case 'not_found':
      throw unknownProvider(name);
    case 'no_key':
      throw invalid([{ path: 'auth_config', message: 'credentials cannot be stored: SLUICE_ENCRYPTION_KEY is not set' }]);
    case 'conflict':
      throw new ProblemError('conflict', { detail: `provider ${name} exists already, at version ${outcome.version}` });
  }
}

function refuseReserved(name: unknown): void {
  if (reservedNames.has(name)) throw invalid([{ path: 'name', message: 'is reserved' }]);
}

/** Providers are everybody's: a key of one tenant must not change them. */
function mayChangeProviders(caller: Caller): void {
  if (caller.tenant !== undefined) throw new ProblemError('forbidden', { detail: 'a key bound to a tenant cannot change providers' });
}
