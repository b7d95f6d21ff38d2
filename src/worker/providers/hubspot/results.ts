/**
 * Which result of a batch belongs to which record. The order of results is not promised, so each is claimed by what names it: the trace
 * id that was sent along, HubSpot's id, or the value of a unique property. What one record alone is left over for belongs to that one.
 * A record that nothing names is `unmatched`: the answer says nothing about it.
 */
import type { ExchangeAnswer } from '../exchange.ts';
import { listOf, memberOf, textOf } from '../json-members.ts';
import { contextOf, readRecordRefusal } from './errors.ts';
import type { Asked } from './requests.ts';
import type { StepResult } from './step.ts';

export interface MatchRules {
  readonly lookupProperty: string;
  lookupValue(asked: Asked): string | undefined;
}

/** Of an accepted answer (2xx), one result for each of `asked`, in its order. */
export function readBatchResults(asked: readonly Asked[], answer: ExchangeAnswer, rules: MatchRules): readonly StepResult[] {
  const body = answer.json();
  const isArchive = asked[0]?.step.way === 'archive';
  // Of archived records the answer names those only that it could not archive.
  if (isArchive && listOf(body, 'errors').length === 0) return asked.map(() => ({ status: 'done', code: answer.code, record: undefined }));
  const matching = new Matching(asked, rules);
  for (const record of listOf(body, 'results'))
    matching.claim(keysOfRecord(record, asked, rules), { status: 'done', code: answer.code, record });
  for (const error of listOf(body, 'errors')) matching.claim(keysOfError(error, asked), readRecordRefusal(error, answer.code));
  return matching.results(isArchive ? { status: 'done', code: answer.code, record: undefined } : undefined);
}

class Matching {
  readonly #results: (StepResult | undefined)[];
  readonly #byKey = new Map<string, number>();
  readonly #unclaimed: StepResult[] = [];

  constructor(asked: readonly Asked[], rules: MatchRules) {
    this.#results = asked.map(() => undefined);
    const shared = new Set<string>();
    for (const [index, each] of asked.entries())
      for (const key of keysOfAsked(each, rules)) {
        if (this.#byKey.has(key)) shared.add(key);
        this.#byKey.set(key, index);
      }
    for (const key of shared) this.#byKey.delete(key);
  }

  /** A record has one result by its surest key; an error may be about several records. */
  claim(keys: readonly string[], result: StepResult): void {
    const found = keys.flatMap((key) => this.#byKey.get(key) ?? []).filter((index) => this.#results[index] === undefined);
    const claimed = result.status === 'done' ? found.slice(0, 1) : found;
    if (claimed.length === 0) this.#unclaimed.push(result);
    for (const index of claimed) this.#results[index] = result;
  }

  results(otherwise: StepResult | undefined): readonly StepResult[] {
    const left = this.#results.filter((result) => result === undefined).length;
    const only = left === 1 && this.#unclaimed.length === 1 ? this.#unclaimed[0] : otherwise;
    const unmatched: StepResult = { status: 'unmatched', others: left < this.#results.length };
    return this.#results.map((result) => result ?? only ?? unmatched);
  }
}

const traceKey = (id: string) => `trace ${id}`;
const idKey = (id: string) => `id ${id}`;
/** HubSpot keeps e-mails in lower case, whatever was sent. */
const valueKey = (property: string, value: string) => `${property} ${value.toLowerCase()}`;

function keysOfAsked(asked: Asked, { lookupProperty, lookupValue }: MatchRules): string[] {
  const { step, item } = asked;
  const trace = traceKey(item.call.operationId);
  if (step.way !== 'create') return [trace, step.idProperty === undefined ? idKey(step.id) : valueKey(step.idProperty, step.id)];
  const value = lookupValue(asked);
  return value === undefined ? [trace] : [trace, valueKey(lookupProperty, value)];
}

/** Surest first. */
function keysOfRecord(record: unknown, asked: readonly Asked[], { lookupProperty }: MatchRules): string[] {
  const trace = textOf(record, 'objectWriteTraceId');
  const id = textOf(record, 'id');
  const step = asked[0]?.step;
  const property = step === undefined || step.way === 'create' ? lookupProperty : step.idProperty;
  const value = property === undefined ? undefined : textOf(memberOf(record, 'properties'), property);
  return [
    ...(trace === undefined ? [] : [traceKey(trace)]),
    ...(id === undefined ? [] : [idKey(id)]),
    ...(property === undefined || value === undefined ? [] : [valueKey(property, value)]),
  ];
}

function keysOfError(error: unknown, asked: readonly Asked[]): string[] {
  const traces = contextOf(error, 'objectWriteTraceId');
  if (traces.length > 0) return traces.map(traceKey);
  const step = asked[0]?.step;
  const property = step === undefined || step.way === 'create' ? undefined : step.idProperty;
  const ids = [...contextOf(error, 'ids'), ...contextOf(error, 'id')];
  return ids.map((id) => (property === undefined ? idKey(id) : valueKey(property, id)));
}
