/**
 * Carries out one call. Outreach has no upsert and nothing that makes a create safe to repeat, except that it refuses a second prospect
 * with the same e-mail; so a create in doubt looks first, and an upsert does what it finds. A record that cannot be told from another
 * is never changed: without its id, only our own record id, proven by the answer, names it.
 */
import type { ProviderError } from '../../../shared/domain/provider-error.ts';
import type { OutreachOptions } from '../../../shared/providers/kinds/outreach-options.ts';
import { mayHaveBeenCarriedOut } from '../answers.ts';
import type { Exchange, ExchangeAnswer, ExchangeRequest } from '../exchange.ts';
import { memberOf } from '../json-members.ts';
import type { Call, CallOutcome } from '../provider.ts';
import { wasThereBefore } from '../record-age.ts';
import { type Refused, readRefusal } from './errors.ts';
import { createFinder, type Found, type FoundRecord, readRecord, type Wanted } from './find.ts';
import type { Attributes, ResourceType } from './mapping.ts';
import type { Requests } from './requests.ts';

export interface Item {
  readonly call: Call;
  readonly attributes: Attributes;
  readonly wanted: Wanted;
}

export interface Place {
  readonly type: ResourceType;
  readonly requests: Requests;
  readonly onDuplicate: OutreachOptions['on_duplicate'];
}

export async function carryOut(item: Item, exchange: Exchange, { type, requests, onDuplicate }: Place): Promise<CallOutcome> {
  const { call, attributes, wanted } = item;
  const { kind, providerRecordId } = call;
  const isCreation = kind === 'create' || kind === 'upsert';
  const finder = createFinder(requests, type, exchange);
  if (providerRecordId !== undefined) {
    const outcome = await changeOrRead(providerRecordId, attributes);
    // Whom it was linked to is gone, so it is made anew.
    return isCreation && isGone(outcome) ? create() : outcome;
  }
  if (isCreation) return create();
  const found = await finder.findByExternalId(wanted.externalId);
  if (found.status === 'found') return changeOrRead(found.record.id, attributes);
  if (found.status === 'ended') return found.outcome;
  if (found.status === 'unknown') return failed(unknownId);
  return kind === 'delete' ? { status: 'accepted', providerStatus: 404 } : failed(notThere);

  async function create(): Promise<CallOutcome> {
    if (kind === 'upsert' || call.isInDoubt) {
      const found = await finder.find(wanted);
      if (found.status === 'ended') return found.outcome;
      if (found.status === 'found') return mayTake(found.record) ? link(found.record) : failed(duplicate(found.record.id));
      if (found.status === 'unknown' && call.isInDoubt) return failed(inDoubt);
    }
    const answer = await exchange.request(requests.create(marked(attributes)));
    if (answer.status === 'ended') return answer.outcome;
    if (isSuccess(answer)) return made(answer);
    const refused = readRefusal(answer, exchange.nowMs());
    if (refused.duplicate !== undefined) return takeDuplicate(refused);
    return failed(mayHaveBeenCarriedOut(answer.code) ? { ...refused.error, isInDoubt: true } : refused.error);
  }

  /** Nothing was made: what stands in the way is looked up. */
  async function takeDuplicate(refused: Refused): Promise<CallOutcome> {
    const found = await finder.find(wanted);
    if (found.status === 'ended') return found.outcome;
    if (found.status !== 'found') return failed(refused.error);
    return mayTake(found.record) ? link(found.record) : failed({ ...duplicate(found.record.id), ...answerOf(refused.error) });
  }

  /** With `report`, only a record that is ours is taken: by our record id, or, where that is not kept, one that a lost attempt can have made. */
  function mayTake({ attributes: theirs }: FoundRecord): boolean {
    if (onDuplicate === 'link' || kind === 'upsert') return true;
    if (wanted.externalId === undefined || type.externalId === undefined)
      return call.isInDoubt && !wasThereBefore(theirs['createdAt'], call);
    return theirs[type.externalId] === wanted.externalId;
  }

  /** The record found takes the fields; it keeps further e-mails and the id that another system has given it. */
  function link({ id, attributes: theirs }: FoundRecord): Promise<CallOutcome> {
    const fields: Record<string, unknown> = { ...marked(attributes) };
    const { emails, externalId } = type;
    if (emails !== undefined && hasAll(theirs[emails], fields[emails])) delete fields[emails];
    if (externalId !== undefined && !Object.hasOwn(attributes, externalId) && isFilled(theirs[externalId])) delete fields[externalId];
    return changeOrRead(id, fields);
  }

  function marked(fields: Attributes): Attributes {
    if (type.externalId === undefined || wanted.externalId === undefined) return fields;
    return { [type.externalId]: wanted.externalId, ...fields };
  }

  async function changeOrRead(id: string, fields: Attributes): Promise<CallOutcome> {
    const answer = await exchange.request(toRequest(id, fields));
    if (answer.status === 'ended') return answer.outcome;
    if (isSuccess(answer)) return done(id, answer);
    const refused = readRefusal(answer, exchange.nowMs());
    if (kind === 'delete' && refused.error.kind === 'gone') return { status: 'accepted', providerStatus: answer.code };
    return refused.duplicate === 'said' ? nameOwner(refused.error) : failed(refused.error);
  }

  function toRequest(id: string, fields: Attributes): ExchangeRequest {
    if (kind === 'delete') return requests.remove(id);
    return kind === 'read' ? requests.read(id) : requests.update(id, fields);
  }

  function done(id: string, answer: ExchangeAnswer): CallOutcome {
    const accepted = { status: 'accepted', providerStatus: answer.code } as const;
    if (kind === 'delete') return accepted;
    return { ...accepted, providerRecordId: id, ...(kind === 'read' ? { result: readResult(answer) } : {}) };
  }

  /** A change would give the record an e-mail that another one has. */
  async function nameOwner(error: ProviderError): Promise<CallOutcome> {
    const found: Found = await finder.find({ emails: wanted.emails, externalId: undefined });
    return failed(found.status === 'found' ? { ...duplicate(found.record.id), ...answerOf(error) } : error);
  }
}

function made(answer: ExchangeAnswer): CallOutcome {
  const record = readRecord(memberOf(answer.json(), 'data'));
  return record ? { status: 'accepted', providerStatus: answer.code, providerRecordId: record.id } : failed(unreadable);
}

function readResult(answer: ExchangeAnswer): unknown {
  return memberOf(answer.json(), 'data') ?? answer.text;
}

function isSuccess({ code }: ExchangeAnswer): boolean {
  return code >= 200 && code < 300;
}

function isGone(outcome: CallOutcome): boolean {
  return outcome.status === 'failed' && outcome.error.kind === 'gone';
}

function hasAll(theirs: unknown, ours: unknown): boolean {
  if (!Array.isArray(theirs) || !Array.isArray(ours)) return false;
  const known = new Set(theirs.map((item) => String(item).toLowerCase()));
  return ours.length > 0 && ours.every((item) => known.has(String(item).toLowerCase()));
}

function isFilled(value: unknown): boolean {
  return value !== undefined && value !== null && value !== '';
}

function answerOf({ answer }: ProviderError): Pick<ProviderError, 'answer'> {
  return answer === undefined ? {} : { answer };
}

function failed(error: ProviderError): CallOutcome {
  return { status: 'failed', error };
}

function duplicate(id: string): ProviderError {
  return { kind: 'conflict', code: 'duplicate_record', message: `the provider has such a record already: ${id}`, providerStatus: 422 };
}

const unreadable: ProviderError = {
  kind: 'ambiguous',
  code: 'unreadable_answer',
  message: 'the answer does not have the id of the record that was made',
};

/** An earlier attempt may have made the record, and nothing can tell. */
export const inDoubt: ProviderError = {
  kind: 'invalid',
  code: 'create_in_doubt',
  message:
    'an earlier attempt may have made the record, and neither an e-mail nor our record id finds it: ' +
    'give records an e-mail, or leave options.external_id on where the account can filter by it',
};

export const unknownId: ProviderError = {
  kind: 'invalid',
  code: 'unknown_provider_record_id',
  message: 'Outreach’s id of the record is not known, and it cannot be found by our record id: create it through here first',
};

const notThere: ProviderError = { kind: 'gone', code: 'not_found', message: 'no record there has our record id' };
