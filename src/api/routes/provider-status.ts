/** GET /providers/<name>/status: what waits, what is under way, what the gate allows at this moment. */
import { z } from '@hono/zod-openapi';
import { queueName } from '../../shared/domain/operation.ts';
import type { Gate } from '../../shared/gate/gate.ts';
import type { ProviderConfig, RateLimit } from '../../shared/providers/config.ts';
import type { ProviderStore } from '../../shared/providers/store.ts';
import type { BacklogReader } from '../../shared/queue/backlog.ts';
import { queryText } from '../pages.ts';
import type { AddRoute } from '../route.ts';
import { found } from './provider-answers.ts';
import { refuseOthers } from './tenants.ts';

interface Budget {
  readonly perMs: number;
  readonly requests: number | undefined;
  readonly remaining: number;
  readonly answeredAtMs: number;
  readonly resetsAtMs: number | undefined;
}

/** What the gate tells of an account. */
export interface GateView {
  readonly nowMs: number;
  readonly windows: readonly { readonly perMs: number; readonly requests: number; readonly effective: number; readonly left: number }[];
  /** 1, or what is left of it after throttling. */
  readonly factor: number;
  readonly budgets: readonly Budget[];
  readonly breaker: 'closed' | 'half_open' | 'open';
  readonly pausedUntilMs: number;
  readonly pauseReason: string | undefined;
  readonly heldSlots: number;
}

export interface ProviderStatusDeps {
  readonly store: Pick<ProviderStore, 'get' | 'getTenant'>;
  readonly backlog: Pick<BacklogReader, 'read'>;
  readonly peekGate: (account: string, limits: readonly RateLimit[]) => Promise<GateView>;
  readonly closedUntil: Gate['closedUntil'];
}

const statusSchema = {
  type: 'object',
  properties: {
    name: { type: 'string' },
    tenant: { type: 'string', description: 'Where the state of one tenant was asked for: backlog to oldest_at are its own then.' },
    account: {
      type: 'string',
      description: 'Whose limits these are: the provider’s name, or <name>:<tenant> for an account of the tenant’s own.',
    },
    backlog: { type: 'integer', description: 'Accepted and not final.' },
    in_flight: { type: 'integer', description: 'Taken by workers and not finished; those that wait for a retry included.' },
    dead_letters: { type: 'integer' },
    oldest_at: { type: ['string', 'null'], format: 'date-time' },
    windows: {
      type: 'array',
      description: 'Permits left in each limit’s window.',
      items: {
        type: 'object',
        properties: {
          requests: { type: 'integer' },
          per_ms: { type: 'integer' },
          effective: {
            type: 'number',
            description: 'What is left of `requests` after throttling, and after what others use of the account.',
          },
          left: { type: 'integer' },
        },
      },
    },
    budgets: {
      type: 'array',
      description: 'What the provider’s own answers last said is left, where it tells. Calls wait when nothing is, whatever `windows` say.',
      items: {
        type: 'object',
        properties: {
          per_ms: { type: 'integer' },
          requests: { type: ['integer', 'null'] },
          remaining: { type: 'integer' },
          answered_at: { type: 'string', format: 'date-time' },
          resets_at: { type: ['string', 'null'], format: 'date-time', description: 'Null where the provider does not say.' },
        },
      },
    },
    throttling_factor: { type: 'number', description: '1, or the share of the limits that throttling answers have left, 0.1 at least.' },
    concurrency: {
      type: 'object',
      properties: {
        held: {
          type: 'integer',
          description:
            'Slots that workers have reserved for calls: at least as many as are under way, and more while they are about to call.',
        },
        max: { type: 'integer', description: '`max_concurrency`.' },
      },
    },
    breaker: { enum: ['closed', 'half_open', 'open'] },
    breaker_until: {
      type: ['string', 'null'],
      format: 'date-time',
      description: 'While the breaker is open: when one call may try again. Null while it is not.',
    },
    paused: { type: 'boolean' },
    paused_until: { type: ['string', 'null'], format: 'date-time', description: 'Null where an operator paused it, or nobody.' },
    pause_reason: { type: ['string', 'null'] },
    unreadable: { type: 'string', description: 'Why the configuration cannot be read, where it cannot.' },
  },
};

/** What is asked about: a provider, or a tenant there, which has an account of its own or shares the provider's. */
interface Subject {
  readonly account: string;
  /** Undefined where it cannot be read. */
  readonly config: ProviderConfig | undefined;
  readonly unreadable?: string;
}

export function addProviderStatusRoute(add: AddRoute, { store, backlog, peekGate, closedUntil }: ProviderStatusDeps): void {
  const findSubject = async (name: string, tenant: string | undefined): Promise<Subject> => {
    const provider = found(await store.get(name), name);
    const own = tenant === undefined ? undefined : await store.getTenant(name, tenant);
    const stored = own ?? provider;
    const account = own ? queueName(name, own.tenant) : name;
    if (stored.status === 'ready') return { account, config: stored.config };
    return { account, config: undefined, unreadable: stored.reason };
  };

  add(
    {
      method: 'get',
      path: '/providers/{name}/status',
      summary: 'Backlog, permits left, breaker and pauses of a provider, or of a tenant there',
      tag: 'providers',
      scope: 'read',
      params: z.object({ name: z.string() }),
      query: z.object({ tenant: queryText(200) }),
      answers: { 200: { description: 'The state.', schema: statusSchema } },
      problems: ['not_found'],
    },
    async (c, { caller, params: { name }, query: { tenant } }) => {
      if (tenant !== undefined) refuseOthers(caller, tenant);
      const { account, config, unreadable } = await findSubject(name, tenant);
      const [waiting, gate] = await Promise.all([backlog.read(name, tenant), peekGate(account, config?.limits ?? [])]);
      const isHeldBack = gate.pausedUntilMs > gate.nowMs;
      const breakerUntilMs = gate.breaker === 'open' ? (await closedUntil(account)).breakerUntilMs : 0;
      return c.json({
        name,
        tenant,
        account,
        backlog: waiting.backlog,
        in_flight: waiting.pending,
        dead_letters: waiting.deadLetters,
        oldest_at: toTime(waiting.oldestMs),
        windows: gate.windows.map(({ requests, perMs, effective, left }) => ({ requests, per_ms: perMs, effective, left })),
        budgets: gate.budgets.map(describeBudget),
        throttling_factor: gate.factor,
        concurrency: { held: gate.heldSlots, max: config?.maxConcurrency ?? 0 },
        breaker: gate.breaker,
        breaker_until: breakerUntilMs > gate.nowMs ? new Date(breakerUntilMs).toISOString() : null,
        paused: isHeldBack || (config?.isPaused ?? false),
        paused_until: isHeldBack ? new Date(Math.ceil(gate.pausedUntilMs)).toISOString() : null,
        pause_reason: isHeldBack ? (gate.pauseReason ?? null) : config?.isPaused ? 'operator' : null,
        ...(unreadable === undefined ? {} : { unreadable }),
      });
    },
  );
}

function describeBudget({ perMs, requests, remaining, answeredAtMs, resetsAtMs }: Budget) {
  return { per_ms: perMs, requests: requests ?? null, remaining, answered_at: toTime(answeredAtMs), resets_at: toTime(resetsAtMs) };
}

function toTime(ms: number | undefined): string | null {
  return ms === undefined ? null : new Date(ms).toISOString();
}
