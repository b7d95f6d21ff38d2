/**
 * Outreach as its description and what was seen of it say: prospects, accounts and webhooks as JSON:API resources, OAuth with refresh
 * tokens that change, its hourly limit with its headers, and webhook deliveries. Everything is kept in memory. Not simulated: batches,
 * imports, `include`, tokens from server to server.
 */
import { z } from 'zod';
import { objectOf, parseJson, segmentsOf } from '../request-reading.ts';
import type { ProviderDeps, Reply, SimulatedItem, SimulatedProvider, SimulatedRequest } from '../simulated-provider.ts';
import { documentOf } from './documents.ts';
import { routeNotFound, toldReply, toReply } from './errors.ts';
import { createOutreachLimit } from './limits.ts';
import { list } from './listing.ts';
import { createOutreachTokens, isTokenCall, refuseGrant } from './oauth.ts';
import { createResourceStore } from './resource-store.ts';
import { type ResourceType, resourceType } from './resource-types.ts';
import { outreachSettings } from './settings.ts';
import { createOutreachWebhooks } from './webhooks.ts';
import { create, missing, read, update } from './writing.ts';

interface Route {
  readonly type: ResourceType;
  /** As in the path; undefined for the collection. */
  readonly id: string | undefined;
}

export function createOutreachProvider(deps: ProviderDeps): SimulatedProvider {
  const { now, random, idsFrom } = deps;
  let settings = outreachSettings.parse({});
  const current = () => settings;
  const webhooks = createOutreachWebhooks(deps, current);
  const store = createResourceStore({ now, idsFrom, onChange: (change) => webhooks.tell(change, store.all(webhookType)) });
  const tokens = createOutreachTokens({ now, random, idsFrom, settings: current });
  const limit = createOutreachLimit({ now, settings: current });

  function carryOut(request: SimulatedRequest, { type, id }: Route): Reply {
    const apiUrl = `${request.baseUrl}${settings.api_path}`;
    const call = { store, settings, apiUrl, random };
    const { method } = request;
    if (id === undefined) {
      if (method === 'POST') return create(type, request, call);
      return method === 'GET' ? list(type, request, call) : toReply(routeNotFound);
    }
    const resource = store.find(type, /^\d+$/.test(id) ? Number(id) : Number.NaN);
    if (!resource) return missing(type, id);
    if (method === 'GET') return read(resource, request, apiUrl);
    if (method === 'PATCH') return update(resource, request, call);
    if (method !== 'DELETE') return toReply(routeNotFound);
    store.delete(resource);
    return { status: 204 };
  }

  return {
    kind: 'outreach',
    contentsOf: (request) => ({ isBatch: false, items: itemsOf(request, routeOf(request, settings.api_path)) }),
    isExempt: isTokenCall,
    admit: (request) => tokens.refuse(request) ?? limit.admit(),
    answer(request) {
      if (isTokenCall(request)) return tokens.answer(request);
      // Again, since the token may have been expired while the call waited.
      const refusal = tokens.refuse(request);
      if (refusal) return refusal;
      const route = routeOf(request, settings.api_path);
      return route ? carryOut(request, route) : toReply(routeNotFound);
    },
    refuse: (failure, request) => (isTokenCall(request) && failure.status < 429 ? refuseGrant(failure.status) : toldReply(failure)),
    throttle: (waitMs) => limit.refuse(settings.requests, now() + waitMs),
    after(request, reply) {
      if (isTokenCall(request) || reply.status === 401) return reply;
      return { ...reply, headers: { ...limit.headers(), ...reply.headers } };
    },
    expireTokens: tokens.expireAll,
    forgetTokens: tokens.forgetAll,
    webhooks: webhooks.list,
    records(entity) {
      const chosen = [...store.everything()].filter(({ type }) => (entity === undefined ? type !== webhookType : entity === type.name));
      return Object.fromEntries(
        chosen.map((resource) => [`${resource.type.name}/${resource.id}`, documentOf(resource, settings.api_path)]),
      );
    },
    clear() {
      store.clear();
      limit.clear();
      webhooks.clear();
    },
    settings: () => settings,
    change(value) {
      const parsed = outreachSettings.safeParse(value);
      if (!parsed.success) return { status: 'refused', reason: z.prettifyError(parsed.error) };
      settings = parsed.data;
      return { status: 'changed' };
    },
  };
}

const webhookType = resourceType('webhooks') as ResourceType;

function routeOf({ path }: SimulatedRequest, apiPath: string): Route | undefined {
  if (!path.startsWith(`${apiPath}/`)) return undefined;
  const [plural = '', id, ...more] = segmentsOf(path.slice(apiPath.length)) ?? [];
  const type = resourceType(plural);
  return type && more.length === 0 ? { type, id } : undefined;
}

const operations: Readonly<Record<string, string>> = { POST: 'create', PATCH: 'update', DELETE: 'delete', GET: 'read' };

/** A new record is named by its external id, else by its e-mail address; all of them are aliases. Lists hold nothing. */
function itemsOf(request: SimulatedRequest, route: Route | undefined): readonly SimulatedItem[] {
  const operation = operations[request.method];
  if (!route || operation === undefined || (route.id === undefined && operation !== 'create')) return [];
  const { externalId, emails } = objectOf(objectOf(objectOf(parseJson(request.text))['data'])['attributes']);
  const aliases = [externalId, ...(Array.isArray(emails) ? emails : [])].filter((alias) => typeof alias === 'string');
  const recordId = route.id ?? aliases[0] ?? '';
  return [{ operationId: '', operation, entity: route.type.name, recordId, timestamp: '', aliases }];
}
