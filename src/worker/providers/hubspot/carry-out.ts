/**
 * Carries out what is asked for the calls of one exchange. Records whose next step is the same go in one request; what follows from its
 * results makes the next requests, until every call has an outcome.
 *
 * What always holds: no request names a record twice (HubSpot refuses such batches, and two changes of one record have an order);
 * a request refused as a whole says nothing about its records, so it is halved until the culprit stands alone. Where it held every call
 * of the exchange, that is left to the engine, whose halves go side by side. After an answer that will be the next one's as well
 * (throttled, no permit, credentials refused, no connection) nothing more is sent.
 */
import type { ProviderError } from '../../../shared/domain/provider-error.ts';
import { mayHaveBeenCarriedOut } from '../answers.ts';
import type { Exchange, ExchangeAnswer } from '../exchange.ts';
import type { CallOutcome } from '../provider.ts';
import { type Refused, readRefusal } from './errors.ts';
import { type Asked, isSingle, type RequestPlace, writeRequest } from './requests.ts';
import { readBatchResults } from './results.ts';
import type { Item, StepResult, Steps } from './step.ts';

export interface CarryOutRules {
  readonly steps: Steps;
  readonly lookupProperty: string;
  placeOf(item: Item): RequestPlace;
}

interface Pending extends Asked {
  readonly index: number;
  /** Steps taken before this one. */
  readonly taken: number;
}

/** The longest way that makes sense has five: an update of what is gone, a batch's create, a create alone, the update of what is found. */
const maxSteps = 6;

/** One outcome for each item, in order. */
export async function carryOut(items: readonly Item[], exchange: Exchange, rules: CarryOutRules): Promise<readonly CallOutcome[]> {
  const outcomes: (CallOutcome | undefined)[] = items.map(() => undefined);
  let waiting = begin(items, outcomes, rules.steps);
  let stopped: string | undefined;
  while (waiting.length > 0 && stopped === undefined) {
    const groups = formGroups(waiting, rules);
    waiting = [];
    for (let group = groups.shift(); group && stopped === undefined; group = groups.shift()) {
      const sent = await sendGroup(group, exchange, rules);
      if (sent.status === 'refused_whole' && group.length === items.length) {
        const error = { ...sent.error, isWholeBatch: true };
        return items.map(() => ({ status: 'failed', error }));
      }
      if (sent.status === 'refused_whole') groups.unshift(...halve(group));
      if (sent.status === 'answered') waiting.push(...advance(group, sent.results, outcomes, rules.steps));
      if (sent.status !== 'stopped') continue;
      stopped = sent.reason;
      for (const { index } of group) outcomes[index] = sent.outcome;
    }
  }
  const unsent: CallOutcome = { status: 'unsent', reason: stopped ?? 'not asked' };
  return outcomes.map((outcome) => outcome ?? unsent);
}

function begin(items: readonly Item[], outcomes: (CallOutcome | undefined)[], steps: Steps): Pending[] {
  const pending: Pending[] = [];
  for (const [index, item] of items.entries()) {
    const step = steps.first(item);
    if ('way' in step) pending.push({ index, item, step, taken: 0 });
    else outcomes[index] = { status: 'failed', error: step };
  }
  return pending;
}

/** Writes the outcomes that are known, and gives what goes on. */
function advance(
  group: readonly Pending[],
  results: readonly StepResult[],
  outcomes: (CallOutcome | undefined)[],
  steps: Steps,
): Pending[] {
  return group.flatMap(({ index, item, step, taken }, at) => {
    const result = results[at] as StepResult;
    const next = steps.next(item, step, result);
    if ('step' in next && taken + 1 < maxSteps) return [{ index, item, step: next.step, taken: taken + 1 }];
    outcomes[index] = 'outcome' in next ? next.outcome : endless(result);
    return [];
  });
}

/** HubSpot contradicts itself: it names a record that is not there, say. What it said last is what we know. */
function endless(result: StepResult): CallOutcome {
  if (result.status === 'refused') return { status: 'failed', error: result.error };
  const error = { kind: 'transient', code: 'provider_error', message: 'the provider contradicts itself about the record' } as const;
  return { status: 'failed', error };
}

type Sent =
  | { readonly status: 'answered'; readonly results: readonly StepResult[] }
  | { readonly status: 'refused_whole'; readonly error: ProviderError }
  | { readonly status: 'stopped'; readonly outcome: CallOutcome; readonly reason: string };

async function sendGroup(group: readonly Pending[], exchange: Exchange, rules: CarryOutRules): Promise<Sent> {
  const [{ item, step }] = group as [Pending];
  const reply = await exchange.request(writeRequest(group, rules.placeOf(item)));
  if (reply.status === 'ended') {
    const { outcome } = reply;
    return { status: 'stopped', outcome, reason: outcome.status === 'unsent' ? outcome.reason : outcome.error.message };
  }
  if (reply.code >= 200 && reply.code < 300) return { status: 'answered', results: readResults(group, reply, rules) };
  const refused = readRefusal(reply, exchange.nowMs());
  // Before all else: a gateway that says when to come again has passed the request on no less.
  const isInDoubt = step.way === 'create' && mayHaveBeenCarriedOut(reply.code);
  const result: Refused = isInDoubt ? { ...refused, error: { ...refused.error, isInDoubt } } : refused;
  const { kind, message } = refused.error;
  if (kind === 'rate_limited' || kind === 'auth')
    return { status: 'stopped', outcome: { status: 'failed', error: result.error }, reason: message };
  if (group.length > 1 && kind !== 'transient') return { status: 'refused_whole', error: refused.error };
  return { status: 'answered', results: group.map(() => result) };
}

function readResults(group: readonly Pending[], answer: ExchangeAnswer, { lookupProperty, steps }: CarryOutRules): readonly StepResult[] {
  const [only] = group;
  if (group.length === 1 && only && isSingle(only.step)) return [{ status: 'done', code: answer.code, record: answer.json() }];
  return readBatchResults(group, answer, { lookupProperty, lookupValue: ({ item }) => steps.lookupValue(item) });
}

function halve<T>(group: readonly T[]): [T[], T[]] {
  const middle = Math.ceil(group.length / 2);
  return [group.slice(0, middle), group.slice(middle)];
}

/** Of one way each; in the order in which they came where they name the same record. */
function formGroups(waiting: readonly Pending[], { steps }: CarryOutRules): Pending[][] {
  const byWay = new Map<string, Pending[]>();
  for (const pending of waiting) {
    const { step, item, index } = pending;
    const idProperty = step.way === 'create' ? '' : (step.idProperty ?? '');
    const key = [step.way, idProperty, item.call.entity, step.isAlone ? index : ''].join(' ');
    const group = byWay.get(key);
    if (group) group.push(pending);
    else byWay.set(key, [pending]);
  }
  return [...byWay.values()].flatMap((group) => separate(group, (pending) => namesOf(pending, steps)));
}

/** What a record may be known by at HubSpot, as far as this request tells. */
function namesOf({ step, item }: Pending, steps: Steps): string[] {
  const lookup = step.way === 'create' || step.way === 'upsert' ? steps.lookupValue(item) : undefined;
  return [...(step.way === 'create' ? [] : [`id ${step.id.toLowerCase()}`]), ...(lookup === undefined ? [] : [lookup.toLowerCase()])];
}

/** Into as many groups as it takes for no two of a group to share a name; those that do keep their order. */
function separate(group: readonly Pending[], names: (pending: Pending) => readonly string[]): Pending[][] {
  const separated: Pending[][] = [];
  const nextByName = new Map<string, number>();
  for (const pending of group) {
    const own = names(pending);
    const at = Math.max(0, ...own.map((name) => nextByName.get(name) ?? 0));
    for (const name of own) nextByName.set(name, at + 1);
    const there = separated[at];
    if (there) there.push(pending);
    else separated.push([pending]);
  }
  return separated;
}
