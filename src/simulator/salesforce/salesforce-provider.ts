/**
 * A Salesforce org in memory, as its REST API shows it: OAuth, single records, collections, bulk jobs, queries, limits, and outbound
 * messages. A call passes its token, then its limits (counted as it arrives), and is carried out in one step; nothing is half done.
 */
import { z } from 'zod';
import type { ProviderDeps, Reply, SimulatedItem, SimulatedProvider, SimulatedRequest, ToldFailure } from '../simulated-provider.ts';
import { createApiCall, readTarget } from './api-call.ts';
import { route } from './api-routes.ts';
import { createBulkJobs } from './bulk-jobs.ts';
import { contentsOf } from './call-contents.ts';
import { identity, listVersions } from './descriptions.ts';
import { createOAuth, oauthPath } from './oauth.ts';
import { createOrg, typeNameOf } from './org.ts';
import { createOutboundMessages } from './outbound-messages.ts';
import { createQueryRoutes } from './query-routes.ts';
import type { Row } from './record-table.ts';
import { toDateTime } from './salesforce-dates.ts';
import { errorOf, errorReply, errors, toldError } from './salesforce-errors.ts';
import { createSessions } from './sessions.ts';
import { settingsSchema } from './settings.ts';
import { type Exchange, exchangeOverHttp } from './soap-exchange.ts';
import { createUsage } from './usage.ts';

type FailItem = (item: SimulatedItem) => ToldFailure | undefined;

/** `exchange` sends outbound messages. */
export function createSalesforceProvider(deps: ProviderDeps, exchange: Exchange = exchangeOverHttp): SimulatedProvider {
  const org = createOrg(deps);
  const sessions = createSessions(org);
  const oauth = createOAuth(org, sessions);
  const usage = createUsage(org);
  const jobs = createBulkJobs(org);
  const queries = createQueryRoutes();
  const outbound = createOutboundMessages(org, deps, exchange);

  function answerResource(request: SimulatedRequest, failItem: FailItem): Reply {
    const target = readTarget(request.path);
    if (target.is !== 'resource') return errorReply(errors.notFound);
    const { min_version, max_version } = org.settings;
    if (target.version < min_version || target.version > max_version) return errorReply(errors.notFound);
    const { items } = contentsOf(org, jobs, request);
    const call = createApiCall(org, request, target, { items, failItem });
    const answerPart = (part: SimulatedRequest) => answerOne(part, failItem);
    return route(call, { jobs, queries, used: usage.used, answerPart });
  }

  /** A part of a composite call, which fails alone. */
  function answerOne(request: SimulatedRequest, failItem: FailItem): Reply {
    const { isBatch, items } = contentsOf(org, jobs, request);
    const failure = isBatch ? undefined : items.map(failItem).find((told) => told !== undefined);
    return failure ? errorReply(toldError(failure)) : answerResource(request, failItem);
  }

  function answer(request: SimulatedRequest, failItem: FailItem): Reply {
    if (request.path.startsWith(oauthPath)) return oauth.answer(request);
    if (readTarget(request.path).is === 'versions') return listVersions(org);
    const uri = `${request.path}?${request.query}`;
    if (uri.length > org.settings.max_uri_bytes) return errorReply(errors.tooLongUri);
    const refusal = sessions.refuse(request);
    if (refusal) return errorReply(refusal);
    if (request.path.startsWith('/id/')) return identity(org, request.baseUrl);
    return answerResource(request, failItem);
  }

  return {
    kind: 'salesforce',
    contentsOf: (request) => contentsOf(org, jobs, request),
    isExempt: ({ path }) => path.startsWith(oauthPath) || readTarget(path).is === 'versions',
    admit(request) {
      // What comes without a good token is refused when it is answered, and costs the org nothing.
      if (sessions.refuse(request)) return undefined;
      const refusal = usage.admit(request);
      return refusal && errorReply(refusal);
    },
    throttle: () => errorReply(errorOf.concurrency(org.settings.concurrent_message)),
    refuse(failure, request) {
      usage.end(request);
      const error = toldError(failure);
      const isForToken = request.path.startsWith(oauthPath);
      return isForToken ? { status: error.httpStatus, body: { error: error.code, error_description: error.message } } : errorReply(error);
    },
    answer(request, failItem) {
      usage.end(request);
      jobs.advance();
      const reply = answer(request, failItem);
      outbound.announce(org.table.takeChanged(), request.baseUrl);
      return reply;
    },
    after(request, reply) {
      if (readTarget(request.path).is !== 'resource' || reply.status === 401) return reply;
      const { daily_max, limit_info_suffix } = org.settings;
      return { ...reply, headers: { ...reply.headers, 'sforce-limit-info': `api-usage=${usage.used()}/${daily_max}${limit_info_suffix}` } };
    },
    records(entity) {
      jobs.advance();
      const names = entity === undefined ? Object.keys(org.settings.objects) : [typeNameOf(org, entity) ?? ''];
      const rows = names.flatMap((name) => [...org.table.all(name)]).filter((row) => !row.isDeleted);
      return Object.fromEntries(rows.map((row) => [`${row.type}/${row.id}`, shown(row)]));
    },
    clear() {
      org.table.clear();
      jobs.clear();
      queries.clear();
      usage.clear();
      outbound.clear();
    },
    settings: () => org.settings,
    change(value) {
      const parsed = settingsSchema.safeParse(value);
      if (!parsed.success) return { status: 'refused', reason: z.prettifyError(parsed.error) };
      org.settings = parsed.data;
      org.table.reindex();
      return { status: 'changed' };
    },
    expireTokens: () => sessions.endAll(),
    webhooks: () => outbound.list(),
  };
}

/** A row with its times and the name of its last writer. */
function shown({ id, fields, createdMs, modifiedMs, client }: Row) {
  return { Id: id, ...fields, CreatedDate: toDateTime(createdMs), LastModifiedDate: toDateTime(modifiedMs), client };
}
