/**
 * HubSpot as its documentation and what was seen of it say: contacts, companies and deals with single and batch calls, lists and search,
 * tokens that expire, its limits with their headers, and webhooks. Everything is kept in memory. Not simulated: associations beyond
 * taking them, merging, lists, engagements.
 */
import { z } from 'zod';
import type { ProviderDeps, Reply, SimulatedProvider } from '../simulated-provider.ts';
import { answerBatch } from './batch.ts';
import { rateLimited, toldReply } from './errors.ts';
import { createHubspotLimits } from './limits.ts';
import { createHubspotTokens, isTokenCall } from './oauth.ts';
import { createObjectStore } from './object-store.ts';
import { viewOf } from './record-view.ts';
import { contentsOf, routeOf } from './routes.ts';
import { answerSearch } from './search.ts';
import { hubspotSettings } from './settings.ts';
import { answerSingle } from './single.ts';
import { createHubspotWebhooks } from './webhooks.ts';

export function createHubspotProvider(deps: ProviderDeps): SimulatedProvider {
  const { now, random, idsFrom } = deps;
  let settings = hubspotSettings.parse({});
  const current = () => settings;
  const webhooks = createHubspotWebhooks(deps, current);
  const store = createObjectStore({ now, idsFrom, settings: current, onChange: webhooks.tell });
  const tokens = createHubspotTokens({ now, random, idsFrom, settings: current });
  const limits = createHubspotLimits({ now, random, settings: current });

  return {
    kind: 'hubspot',
    contentsOf: (request) => contentsOf(request, settings),
    isExempt: isTokenCall,
    admit(request) {
      const authentication = tokens.authenticate(request);
      if (authentication.is === 'refused') return authentication.reply;
      return limits.admit(authentication.caller, routeOf(request, settings)?.does === 'search');
    },
    answer(request, failItem) {
      if (isTokenCall(request)) return tokens.answer(request);
      // Again, since the token may have been expired while the call waited.
      const authentication = tokens.authenticate(request);
      if (authentication.is === 'refused') return authentication.reply;
      const route = routeOf(request, settings);
      // Routes that are not there answer without a body of HubSpot's form.
      if (!route) return { status: 404 };
      const call = { store, settings, random, now, failItem, author: authentication.caller.author };
      if (route.does === 'batch') return answerBatch(route.type, route.action, request, call);
      return route.does === 'search' ? answerSearch(route.type, request, call) : answerSingle(route, request, call);
    },
    refuse(failure, request) {
      const isRefusedGrant = isTokenCall(request) && failure.status < 429;
      return isRefusedGrant ? tokens.refuse(failure.status) : toldReply(failure, random);
    },
    throttle: (waitMs) => rateLimited('TEN_SECONDLY_ROLLING', random, settings.retry_after_on_429 ? Math.ceil(waitMs / 1_000) : undefined),
    after(request, reply): Reply {
      const authentication = isTokenCall(request) ? undefined : tokens.authenticate(request);
      if (authentication?.is !== 'valid') return reply;
      const headers = limits.headers(authentication.caller, routeOf(request, settings)?.does === 'search');
      return { ...reply, headers: { ...headers, ...reply.headers } };
    },
    expireTokens: tokens.expireAll,
    forgetTokens: tokens.forgetAll,
    webhooks: webhooks.list,
    records(entity) {
      const chosen = [...store.everything()].filter(({ type }) => entity === undefined || entity === type.name || entity === type.singular);
      return Object.fromEntries(chosen.map((record) => [`${record.type.name}/${record.id}`, viewOf(record, settings)]));
    },
    clear() {
      store.clear();
      limits.clear();
      webhooks.clear();
    },
    settings: () => settings,
    change(value) {
      const parsed = hubspotSettings.safeParse(value);
      if (!parsed.success) return { status: 'refused', reason: z.prettifyError(parsed.error) };
      settings = parsed.data;
      store.reindex();
      return { status: 'changed' };
    },
  };
}
