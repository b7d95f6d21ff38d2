/** Delivers calls by a dialect as the engine would: what may pass goes again, in doubt where it is; a batch refused whole goes in halves. */
import type { Dialect } from '../../src/worker/providers/exchange.ts';
import type { Call, CallOutcome } from '../../src/worker/providers/provider.ts';
import { carryOut } from './dialect-calls.ts';
import type { Answering } from './played-exchange.ts';

/** More than any plan of faults asks for. */
const maxRounds = 200;

/** The last outcome of each call, by its record id; none of those that never came to an end. */
export async function deliverCalls(dialect: Dialect, calls: readonly Call[], answer: Answering): Promise<ReadonlyMap<string, CallOutcome>> {
  const finals = new Map<string, CallOutcome>();
  let batches = toBatches(dialect, calls);
  for (let round = 0; batches.length > 0 && round < maxRounds; round++) {
    const sent = batches.shift() as readonly Call[];
    const refused = refusalsOf(dialect, sent);
    const sendable = sent.filter((call) => !refused.has(call));
    const { outcomes } = await carryOut(dialect, sendable, answer);
    for (const [call, outcome] of refused) finals.set(call.recordId, outcome);
    const again = sendable.flatMap((call, index) => repeat(call, outcomes[index] as CallOutcome, finals));
    const isSplit = outcomes.some((outcome) => outcome.status === 'failed' && outcome.error.isWholeBatch);
    const middle = isSplit ? Math.ceil(again.length / 2) : again.length;
    batches = [...batches, ...toBatches(dialect, again.slice(0, middle)), ...toBatches(dialect, again.slice(middle))];
  }
  return finals;
}

/** What is refused before the call. */
function refusalsOf(dialect: Dialect, calls: readonly Call[]): ReadonlyMap<Call, CallOutcome> {
  return new Map(
    calls.flatMap((call) => {
      const preparation = dialect.prepare(call);
      return preparation.status === 'refused' ? [[call, { status: 'failed', error: preparation.error }] as const] : [];
    }),
  );
}

function repeat(call: Call, outcome: CallOutcome, finals: Map<string, CallOutcome>): readonly Call[] {
  const error = outcome.status === 'failed' ? outcome.error : undefined;
  const mayPass = outcome.status === 'unsent' || error?.isWholeBatch || /transient|ambiguous|rate_limited/.test(error?.kind ?? '');
  if (!mayPass) finals.set(call.recordId, outcome);
  return mayPass ? [{ ...call, isInDoubt: call.isInDoubt || error?.kind === 'ambiguous' || error?.isInDoubt === true }] : [];
}

function toBatches(dialect: Dialect, calls: readonly Call[]): (readonly Call[])[] {
  const batches: Call[][] = [];
  for (const call of calls) {
    const open = batches.find((batch) => batch.length < dialect.maxBatch && dialect.canShareBatch(batch[0] as Call, call));
    if (open) open.push(call);
    else batches.push([call]);
  }
  return batches;
}
