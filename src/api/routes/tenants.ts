/** What a tenant has of its own at a provider: its account, its limits. Everything else it has is the provider's. */
import { z } from '@hono/zod-openapi';
import { toJSONSchema } from 'zod';
import { queueName } from '../../shared/domain/operation.ts';
import { ProblemError } from '../../shared/domain/problem.ts';
import type { ProviderStore } from '../../shared/providers/store.ts';
import type { StoredTenant, TenantWritten } from '../../shared/providers/tenant-store.ts';
import { readOnlyFields, tenantWire } from '../../shared/providers/wire.ts';
import type { Caller } from '../api-keys.ts';
import { listAnswer, listSchema, pageByName, pageQuery } from '../pages.ts';
import { type AddRoute, invalid, readObjectBody } from '../route.ts';
import { checkShownMembers, refuseUnknown, shownSchemas, tenantSchemas, toPatchProperties, withShown } from '../shown-members.ts';
import { bindTo, etagOf, ifMatchHeader, readIfMatch } from '../versions.ts';
import { found, mayChangeProviders, noKey, unknownProvider } from './provider-answers.ts';

export interface TenantDeps {
  readonly store: Pick<ProviderStore, 'get' | 'getTenant' | 'listTenants' | 'patchTenant' | 'putTenant' | 'removeTenant'>;
  /** Forgets what the gate knows of an account. */
  readonly clearGate: (account: string) => Promise<void>;
}

const tag = 'providers';
const path = '/providers/{name}/tenants/{tenant}';
const providerParams = z.object({ name: z.string() });
const tenantParams = z.object({ name: z.string(), tenant: z.string() });
const viewSchema = {
  type: 'object',
  description:
    'What the tenant has of its own, with `provider`, `tenant`, `version`, `created_at` and `updated_at`; secrets show as "***".',
  properties: { provider: { type: 'string' }, tenant: { type: 'string' }, version: { type: 'integer' } },
};

const patchProperties = toPatchProperties([...Object.keys(tenantWire.shape), 'provider', 'tenant', ...readOnlyFields]);

export function addTenantRoutes(add: AddRoute, deps: TenantDeps): void {
  addReads(add, deps);
  addWrites(add, deps);
  addRemoval(add, deps);
}

function addReads(add: AddRoute, { store }: TenantDeps): void {
  add(
    {
      method: 'get',
      path: '/providers/{name}/tenants',
      summary: 'The tenants that have something of their own at a provider',
      tag,
      scope: 'read',
      params: providerParams,
      query: z.object(pageQuery),
      answers: { 200: { description: 'A page of tenants, by name.', schema: listSchema(viewSchema) } },
      problems: ['not_found'],
    },
    async (c, { caller, params: { name }, query }) => {
      found(await store.get(name), name);
      const visible = (await store.listTenants(name)).filter(({ tenant }) => maySee(caller, tenant));
      const { items, nextCursor } = pageByName(visible, ({ tenant }) => tenant, query);
      return c.json(listAnswer(items.map(describeTenant), nextCursor));
    },
  );
  add(
    {
      method: 'get',
      path,
      summary: 'What a tenant has of its own at a provider',
      tag,
      scope: 'read',
      params: tenantParams,
      answers: { 200: { description: 'The tenant.', schema: viewSchema } },
      problems: ['not_found'],
    },
    async (c, { caller, params: { name, tenant } }) => {
      refuseOthers(caller, tenant);
      found(await store.get(name), name);
      const stored = await store.getTenant(name, tenant);
      if (!stored) throw nothingOwn(name, tenant);
      return c.json(describeTenant(stored), 200, etagHeader(stored));
    },
  );
}

function addWrites(add: AddRoute, { store }: TenantDeps): void {
  const body = {
    ...withShown(toJSONSchema(tenantWire, { io: 'input' }), { ...tenantSchemas, ...shownSchemas }),
    description: 'What is left out is the provider’s; of `batch` and `options`, what is left out of them.',
  };
  add(
    {
      method: 'put',
      path,
      summary: 'Give a tenant an account, limits or settings of its own at a provider',
      tag,
      scope: 'admin',
      params: tenantParams,
      headers: [ifMatchHeader],
      body,
      example: { limits: [{ requests: 10, per: '1s' }] },
      answers: { 200: { description: 'Replaced.', schema: viewSchema }, 201: { description: 'Created.', schema: viewSchema } },
      problems: ['not_found', 'conflict'],
    },
    async (c, { caller, params: { name, tenant } }) => {
      mayChangeProviders(caller);
      const given = readIfMatch(c);
      const sent = await readObjectBody(c);
      const compared = await checkShown(store, name, tenant, sent);
      const outcome = await store.putTenant(name, tenant, sent, bindTo(given, compared));
      const stored = writtenTenant(outcome, name, tenant);
      return c.json(describeTenant(stored), outcome.status === 'created' ? 201 : 200, etagHeader(stored));
    },
  );
  add(
    {
      method: 'patch',
      path,
      summary: 'Change fields that a tenant has of its own; null gives a field back to the provider',
      tag,
      scope: 'admin',
      params: tenantParams,
      headers: [ifMatchHeader],
      body: {
        type: 'object',
        description: 'Any fields that a tenant may have of its own.',
        properties: patchProperties,
        additionalProperties: false,
      },
      example: { max_concurrency: 5 },
      answers: { 200: { description: 'Changed.', schema: viewSchema } },
      problems: ['not_found', 'conflict'],
    },
    async (c, { caller, params: { name, tenant } }) => {
      mayChangeProviders(caller);
      const given = readIfMatch(c);
      const sent = await readObjectBody(c);
      refuseUnknown(sent, patchProperties);
      const compared = await checkShown(store, name, tenant, sent);
      const stored = writtenTenant(await store.patchTenant(name, tenant, sent, bindTo(given, compared)), name, tenant);
      return c.json(describeTenant(stored), 200, etagHeader(stored));
    },
  );
}

function addRemoval(add: AddRoute, { store, clearGate }: TenantDeps): void {
  add(
    {
      method: 'delete',
      path,
      summary: 'Take back what a tenant has of its own: what it has queued goes to the provider’s account then',
      tag,
      scope: 'admin',
      params: tenantParams,
      headers: [ifMatchHeader],
      answers: { 204: { description: 'Taken back.' } },
      problems: ['not_found', 'conflict'],
    },
    async (c, { caller, params: { name, tenant } }) => {
      mayChangeProviders(caller);
      found(await store.get(name), name);
      const removed = await store.removeTenant(name, tenant, { ifVersion: readIfMatch(c) });
      if (removed.status === 'not_found') throw nothingOwn(name, tenant);
      if (removed.status === 'conflict') throw changedMeanwhile(removed.version);
      await clearGate(queueName(name, tenant));
      return c.body(null, 204);
    },
  );
}

/** The version that was compared with, if any. */
async function checkShown(store: TenantDeps['store'], provider: string, tenant: string, sent: Readonly<Record<string, unknown>>) {
  const readShown = async () => {
    const stored = await store.getTenant(provider, tenant);
    return stored?.status === 'ready' ? { members: { ...stored.view }, version: stored.view.version } : { members: {} };
  };
  return checkShownMembers(sent, { address: { provider, tenant }, names: readOnlyFields, readShown });
}

/** None where what is stored cannot be read. */
function etagHeader(stored: StoredTenant): Record<string, string> {
  return stored.status === 'ready' ? { etag: etagOf(stored.view.version) } : {};
}

function describeTenant(stored: StoredTenant) {
  return stored.status === 'ready' ? stored.view : { provider: stored.provider, tenant: stored.tenant, unreadable: stored.reason };
}

function nothingOwn(name: string, tenant: string): ProblemError {
  return new ProblemError('not_found', { detail: `tenant ${tenant.slice(0, 64)} has nothing of its own at ${name.slice(0, 64)}` });
}

function maySee(caller: Caller, tenant: string): boolean {
  return caller.tenant === undefined || caller.tenant === tenant;
}

/** Throws where the key is bound to another tenant. */
export function refuseOthers(caller: Caller, tenant: string): void {
  if (!maySee(caller, tenant)) throw new ProblemError('forbidden', { detail: 'the API key is bound to another tenant' });
}

/** The stored tenant. Throws the problem where it was not written. */
function writtenTenant(outcome: TenantWritten, name: string, tenant: string): StoredTenant {
  switch (outcome.status) {
    case 'created':
    case 'replaced':
      return outcome.tenant;
    case 'invalid':
      throw invalid(outcome.errors);
    case 'unknown_provider':
      throw unknownProvider(name);
    case 'not_found':
      throw nothingOwn(name, tenant);
    case 'no_key':
      throw noKey();
    case 'conflict':
      throw changedMeanwhile(outcome.version);
  }
}

function changedMeanwhile(version: number): ProblemError {
  return new ProblemError('conflict', {
    detail: version === 0 ? 'there is nothing stored yet' : `it was changed meanwhile, and is at version ${version}`,
  });
}
