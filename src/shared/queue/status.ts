/** What became of an operation: from its result if it is final, else from its entry, the pending list and its trial. */
import {
  formatEntryId,
  formatOperationId,
  type OperationKind,
  type OperationStatus,
  type Place,
  parseEntryId,
} from '../domain/operation.ts';
import type { RedisClient } from '../redis/connection.ts';
import type { Keys } from '../redis/keys.ts';
import { defineScript, unexpectedReply } from '../redis/script.ts';
import { parseOperation } from './entry.ts';
import { type ErrorView, type Outcome, parseOutcome, resultField } from './result.ts';
import statusSource from './status.lua';
import { parseTrial } from './trial.ts';

const statusScript = defineScript('status', statusSource);

export interface OperationView {
  readonly place: Place;
  readonly status: OperationStatus;
  readonly kind: OperationKind;
  readonly entity: string;
  readonly recordId: string;
  readonly attempts: number;
  readonly acceptedAtMs: number;
  readonly completedAtMs?: number | undefined;
  readonly nextAttemptAtMs?: number | undefined;
  readonly providerRecordId?: string | undefined;
  /** Operation ids. */
  readonly carriedBy?: string | undefined;
  readonly retriedAs?: string | undefined;
  readonly result?: unknown;
  readonly error?: ErrorView | undefined;
}

export interface StatusReader {
  /** Undefined for an operation that never was, or finished longer ago than results are kept. */
  read(place: Place): Promise<OperationView | undefined>;
}

export function createStatusReader({ redis, keys, shards }: { redis: RedisClient; keys: Keys; shards: number }): StatusReader {
  return {
    async read(place) {
      if (place.shard >= shards) return undefined;
      const { shard, queue, rank } = place;
      const scriptKeys = [keys.results(shard, queue, rank), keys.queue(shard, queue), keys.tries(shard, queue)];
      const reply = (await statusScript.run(redis, scriptKeys, [resultField(rank), formatEntryId(place)])) as [string, ...string[]];
      if (reply[0] === 'unknown') return undefined;
      if (reply[0] === 'final') {
        const outcome = parseOutcome(reply[1] as string, place.ms);
        return outcome && viewFinal(place, outcome, reply[2] as string);
      }
      if (reply[0] === 'open') return viewOpen(place, reply as unknown as OpenReply);
      throw unexpectedReply('status', reply);
    },
  };
}

type OpenReply = ['open', header: string, data: string, isPending: 0 | 1, trial: string];

function viewOpen(place: Place, [, header, data, isPending, trialText]: OpenReply): OperationView {
  const { kind, entity, recordId } = parseOperation(place, header, data);
  const trial = trialText === '' ? undefined : parseTrial(trialText);
  const isWaiting = trial !== undefined && trial.dueAtMs > 0;
  return {
    place,
    status: isWaiting ? 'retrying' : isPending ? 'processing' : 'queued',
    kind,
    entity,
    recordId,
    attempts: trial?.attempts ?? 0,
    acceptedAtMs: place.ms,
    nextAttemptAtMs: isWaiting ? trial.dueAtMs : undefined,
    error: trial?.error,
  };
}

function viewFinal(place: Place, outcome: Outcome, retriedAs: string): OperationView {
  const neighbour = (entryId: string | undefined) => entryId && formatOperationId({ ...place, ...parseEntryId(entryId) });
  return { ...outcome, place, carriedBy: neighbour(outcome.carriedBy), retriedAs: retriedAs === '' ? undefined : neighbour(retriedAs) };
}
