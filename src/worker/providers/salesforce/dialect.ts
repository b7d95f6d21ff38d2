/**
 * Salesforce: which of its ways a send takes. One record goes by a call of its own, more of them by a collection, a backlog of
 * changes to known records by a bulk job.
 *
 * What always holds: no request holds a record twice (two of ours may be linked to one there: the later goes unsent, and comes again); the
 * answer to a send says "refused as a whole" only where nothing was done for any of its calls.
 */
import { salesforceOptions } from '../../../shared/providers/kinds/salesforce-options.ts';
import type { Dialect, DialectFactory, Exchange, ExchangeAnswer } from '../exchange.ts';
import type { Budget, Call, CallOutcome, PreparedCall } from '../provider.ts';
import { createBulk } from './bulk.ts';
import { createCollections, maxCollection } from './collections.ts';
import { toProviderError, unlessCarriedOut } from './errors.ts';
import { keyOf } from './job-table.ts';
import { createOwnWrites } from './own-writes.ts';
import { createRecordCalls } from './record-call.ts';
import { createRequests, type RecordReply } from './requests.ts';
import { createWireCalls, type Shape, wireOf } from './wire-call.ts';

const defaultWaitMs = 20;

/** Throws where options or schema are not as they should be. */
export const createSalesforceDialect: DialectFactory = (config): Dialect => {
  const options = salesforceOptions.parse(config.options);
  const wires = createWireCalls(config, options);
  const ownWrites = createOwnWrites();
  const requests = createRequests(options, { readFieldsOf: wires.readFieldsOf, ownWrites });
  const records = createRecordCalls(options, requests, ownWrites);
  const collections = createCollections(options, requests, wires.readFieldsOf);
  const bulk = createBulk(options, requests);
  // A condition holds for a request, so a record that has one goes alone.
  const maxBatch = options.protect_foreign_edits ? 1 : Math.min(config.batch?.maxRecords ?? maxCollection, maxCollection);
  const hasBulk = maxBatch > 1 && options.bulk_threshold > 0;

  function canShareBatch(a: Call, b: Call): boolean {
    const shape = wires.shapeOf(a);
    if (maxBatch === 1 || a.entity !== b.entity || shape === undefined || shape !== wires.shapeOf(b)) return false;
    // A create in doubt finds out first.
    if (shape === 'create' && (a.isInDoubt || b.isInDoubt)) return false;
    return collections.takes(shape, wires.objectOf(a.entity));
  }

  async function sendMany(calls: readonly PreparedCall[], exchange: Exchange): Promise<CallOutcome[]> {
    const outcomes: (CallOutcome | undefined)[] = calls.map(() => undefined);
    const places = firstOfEach(calls);
    const { shape } = wireOf(calls[0] as PreparedCall);
    let rest = places;
    if (places.length > maxBatch && hasBulk && bulk.takes(shape)) {
      const at = (place: number) => calls[place] as PreparedCall;
      const replies = await bulk.send(places.map(at), exchange);
      for (const [index, place] of places.entries()) {
        const reply = replies[index];
        if (reply) outcomes[place] = await records.conclude(at(place), reply, exchange);
      }
      rest = places.filter((_, index) => replies[index] === undefined);
    }
    await sendChunks(calls, rest, outcomes, exchange);
    return outcomes.map((outcome) => outcome ?? sharesRecord);
  }

  /** Fills `outcomes` at the places given. */
  async function sendChunks(
    calls: readonly PreparedCall[],
    places: readonly number[],
    outcomes: (CallOutcome | undefined)[],
    exchange: Exchange,
  ): Promise<void> {
    for (let start = 0; start < places.length; start += maxBatch) {
      const chunk = places.slice(start, start + maxBatch);
      const prepared = chunk.map((place) => calls[place] as PreparedCall);
      const reply = await collections.send(prepared, exchange);
      if (reply.status === 'answered') {
        for (const [index, place] of chunk.entries())
          outcomes[place] = await records.conclude(prepared[index] as PreparedCall, reply.replies[index] as RecordReply, exchange);
        continue;
      }
      const outcome = reply.status === 'ended' ? reply.outcome : failureOfAll(wireOf(prepared[0] as PreparedCall).shape, reply.reply);
      const isWhole = outcome.status === 'failed' && outcome.error.isWholeBatch === true;
      if (isWhole && !outcomes.some((other) => other !== undefined)) return void outcomes.fill(outcome);
      // Others have been carried out already: these come again, and are taken apart when they come by themselves.
      for (const place of chunk) outcomes[place] = isWhole ? comesAgain : outcome;
      // What stopped these would stop the rest.
      if (!isWhole) for (const place of places.slice(start + maxBatch)) outcomes[place] = comesAgain;
      if (!isWhole) return;
    }
  }

  return {
    maxBatch,
    batchWaitMs: maxBatch === 1 ? 0 : (config.batch?.maxWaitMs ?? defaultWaitMs),
    bulk: hasBulk
      ? {
          minRecords: Math.max(options.bulk_threshold, maxBatch + 1),
          maxRecords: options.bulk_max_records,
          takes(call) {
            const shape = wires.shapeOf(call);
            return shape !== undefined && bulk.takes(shape);
          },
        }
      : undefined,
    canShareBatch,
    prepare: wires.prepare,

    async carryOut(calls, exchange) {
      const [first] = calls;
      if (calls.length > 1) return sendMany(calls, exchange);
      return first ? [await records.carryOut(first, exchange)] : [];
    },

    budgetsOf: readBudgets,
  };
};

/** Places of the calls without those whose record an earlier one has. */
function firstOfEach(calls: readonly PreparedCall[]): number[] {
  const seen = new Set<string>();
  return [...calls.keys()].filter((place) => {
    const prepared = calls[place] as PreparedCall;
    const { shape, id } = wireOf(prepared);
    if (shape === 'create') return true;
    const key = shape === 'upsert' ? prepared.call.recordId : keyOf(id, false);
    return seen.has(key) ? false : seen.add(key) !== undefined;
  });
}

/** What refuses the content of a batch is about one of its records, and says not which. */
function failureOfAll(shape: Shape, reply: Extract<RecordReply, { status: 'refused' }>): CallOutcome {
  const refused = { ...reply, status: reply.code, isMaking: true };
  const error = shape === 'create' ? unlessCarriedOut(toProviderError(refused), refused) : toProviderError(refused);
  const isWholeBatch = error.kind === 'invalid' || error.kind === 'conflict' || error.kind === 'gone';
  return { status: 'failed', error: isWholeBatch ? { ...error, isWholeBatch } : error };
}

const sharesRecord: CallOutcome = { status: 'unsent', reason: 'another call of the batch has the same record' };
const comesAgain: CallOutcome = { status: 'unsent', reason: 'a request before it took the batch apart' };

const dayMs = 86_400_000;

/** `api-usage=10018/100000`: calls of the whole organization in the last 24 hours. */
function readBudgets(answer: ExchangeAnswer): readonly Budget[] {
  const usage = /(?:^|[;,\s])api-usage=(\d{1,15})\/(\d{1,15})/.exec(answer.header('sforce-limit-info') ?? '');
  if (!usage) return [];
  const [used, requests] = [Number(usage[1]), Number(usage[2])];
  return [{ perMs: dayMs, requests, remaining: Math.max(0, requests - used), resetInMs: undefined }];
}
