/** Health, readiness, metrics and the fleet. */
import { ProblemError } from '../../shared/domain/problem.ts';
import type { Leases } from '../../shared/queue/leases.ts';
import type { Metrics } from '../../shared/telemetry/metrics.ts';
import type { AddRoute } from '../route.ts';

export interface OperatingDeps {
  readonly leases: Pick<Leases, 'readLeases' | 'readMembers'>;
  readonly metrics: Pick<Metrics, 'expose' | 'contentType'>;
  /** Brings the fleet-wide gauges up to date; never throws. */
  readonly refreshGauges: () => Promise<void>;
  /** Why the process cannot do its work now. */
  readonly whyNotReady: () => Promise<string | undefined>;
  /** Redis's clock, epoch ms. */
  readonly nowMs: () => number;
}

const tag = 'operating';
const upSchema = { type: 'object', properties: { status: { type: 'string' } } };
const fleetSchema = {
  type: 'object',
  properties: {
    workers: {
      type: 'array',
      items: {
        type: 'object',
        properties: {
          id: { type: 'string' },
          until: { type: 'string', format: 'date-time' },
          shards: { type: 'array', items: { type: 'integer' } },
        },
      },
    },
    shards: {
      type: 'array',
      items: {
        type: 'object',
        properties: {
          shard: { type: 'integer' },
          owner: { type: ['string', 'null'] },
          epoch: { type: 'integer' },
          until: { type: ['string', 'null'] },
        },
      },
    },
  },
};

export function addOperatingRoutes(add: AddRoute, deps: OperatingDeps): void {
  addHealth(add, deps);
  add(
    {
      method: 'get',
      path: '/metrics',
      summary: 'Metrics as Prometheus text',
      tag,
      scope: 'read',
      answers: { 200: { description: 'All metrics of this process, and the gauges of the fleet.', mediaType: 'text/plain' } },
    },
    async (c) => {
      await deps.refreshGauges();
      return c.body(await deps.metrics.expose(), 200, { 'content-type': deps.metrics.contentType });
    },
  );
  add(
    {
      method: 'get',
      path: '/fleet',
      summary: 'The workers, and who owns which shard',
      tag,
      scope: 'read',
      answers: { 200: { description: 'Live workers and all shards.', schema: fleetSchema } },
    },
    async (c) => c.json(await describeFleet(deps)),
  );
}

function addHealth(add: AddRoute, { whyNotReady }: OperatingDeps): void {
  add(
    {
      method: 'get',
      path: '/healthz',
      summary: 'Whether the process is up',
      tag,
      answers: { 200: { description: 'It is.', schema: upSchema } },
    },
    (c) => c.json({ status: 'up' }),
  );
  add(
    {
      method: 'get',
      path: '/readyz',
      summary: 'Whether the process can do its work now',
      tag,
      answers: { 200: { description: 'It can.', schema: upSchema } },
      problems: ['unavailable'],
    },
    async (c) => {
      const reason = await whyNotReady();
      if (reason !== undefined) throw new ProblemError('unavailable', { detail: reason });
      return c.json({ status: 'ready' });
    },
  );
}

async function describeFleet({ leases, nowMs }: OperatingDeps) {
  const [members, held] = await Promise.all([leases.readMembers(), leases.readLeases()]);
  const now = nowMs();
  const shards = held.map(({ shard, owner, epoch, untilMs }) => {
    const isOwned = owner !== undefined && untilMs > now;
    return { shard, owner: isOwned ? owner : null, epoch, until: isOwned ? new Date(untilMs).toISOString() : null };
  });
  const workers = members
    .filter(({ untilMs }) => untilMs > now)
    .map(({ id, untilMs, info }) => ({
      ...info,
      id,
      until: new Date(untilMs).toISOString(),
      shards: shards.filter(({ owner }) => owner === id).map(({ shard }) => shard),
    }));
  return { workers, shards };
}
