/** GET /providers/<name>/status: what waits, what is under way, what the gate allows at this moment. */
import { z } from '@hono/zod-openapi';
import type { RateLimit } from '../../shared/providers/config.ts';
import type { ProviderStore } from '../../shared/providers/store.ts';
import type { BacklogReader } from '../../shared/queue/backlog.ts';
import type { AddRoute } from '../route.ts';
import { found } from './providers.ts';

/** What the gate tells of an account. */
export interface GateView {
  readonly nowMs: number;
  readonly windows: readonly { readonly perMs: number; readonly requests: number; readonly left: number }[];
  readonly breaker: 'closed' | 'half_open' | 'open';
  readonly pausedUntilMs: number;
  readonly pauseReason: string | undefined;
  readonly heldSlots: number;
}

export interface ProviderStatusDeps {
  readonly store: Pick<ProviderStore, 'get'>;
  readonly backlog: Pick<BacklogReader, 'read'>;
  readonly peekGate: (account: string, limits: readonly RateLimit[]) => Promise<GateView>;
}

const statusSchema = {
  type: 'object',
  properties: {
    name: { type: 'string' },
    backlog: { type: 'integer', description: 'Accepted and not final.' },
    in_flight: { type: 'integer', description: 'Taken by workers and not finished; those that wait for a retry included.' },
    dead_letters: { type: 'integer' },
    oldest_at: { type: ['string', 'null'], format: 'date-time' },
    windows: {
      type: 'array',
      description: 'Permits left in each limit’s window.',
      items: { type: 'object', properties: { requests: { type: 'integer' }, per_ms: { type: 'integer' }, left: { type: 'integer' } } },
    },
    concurrency: { type: 'object', properties: { held: { type: 'integer' }, max: { type: 'integer' } } },
    breaker: { enum: ['closed', 'half_open', 'open'] },
    paused: { type: 'boolean' },
    paused_until: { type: ['string', 'null'], format: 'date-time', description: 'Null where an operator paused it, or nobody.' },
    pause_reason: { type: ['string', 'null'] },
  },
};

export function addProviderStatusRoute(add: AddRoute, { store, backlog, peekGate }: ProviderStatusDeps): void {
  add(
    {
      method: 'get',
      path: '/providers/{name}/status',
      summary: 'Backlog, permits left, breaker and pauses of a provider',
      tag: 'providers',
      scope: 'read',
      params: z.object({ name: z.string().max(200) }),
      answers: { 200: { description: 'The provider’s state.', schema: statusSchema } },
      problems: ['not_found'],
    },
    async (c, { params: { name } }) => {
      const stored = found(await store.get(name), name);
      const config = stored.status === 'ready' ? stored.config : undefined;
      const [waiting, gate] = await Promise.all([backlog.read(name), peekGate(name, config?.limits ?? [])]);
      const isHeldBack = gate.pausedUntilMs > gate.nowMs;
      return c.json({
        name,
        backlog: waiting.backlog,
        in_flight: waiting.pending,
        dead_letters: waiting.deadLetters,
        oldest_at: waiting.oldestMs === undefined ? null : new Date(waiting.oldestMs).toISOString(),
        windows: gate.windows.map(({ requests, perMs, left }) => ({ requests, per_ms: perMs, left })),
        concurrency: { held: gate.heldSlots, max: config?.maxConcurrency ?? 0 },
        breaker: gate.breaker,
        paused: isHeldBack || (config?.isPaused ?? false),
        paused_until: isHeldBack ? new Date(Math.ceil(gate.pausedUntilMs)).toISOString() : null,
        pause_reason: isHeldBack ? (gate.pauseReason ?? null) : config?.isPaused ? 'operator' : null,
        ...(stored.status === 'unreadable' ? { unreadable: stored.reason } : {}),
      });
    },
  );
}
