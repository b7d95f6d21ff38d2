/**
 * What is asked of HubSpot for one call, step by step: the first step, and what follows from each result until there is an outcome.
 * Pure, so that every way can be tried without a provider.
 *
 * The idea: a record is addressed by the most certain name there is: HubSpot's own id, else the property that holds our record id, else
 * (to find what may have been made already, never to change a record by) the lookup property. A plain create is not safe to repeat, so
 * one in doubt looks first; where that is impossible it is refused, since a second record is worse than a dead letter.
 *
 * Rejected: finding a record for an update by its e-mail (the e-mail given may be the new one), and by search (its index lags behind).
 */
import type { ProviderError } from '../../../shared/domain/provider-error.ts';
import type { HubspotOptions } from '../../../shared/providers/kinds/hubspot-options.ts';
import { memberOf, textOf } from '../json-members.ts';
import type { Call, CallOutcome } from '../provider.ts';
import { wasThereBefore } from '../record-age.ts';
import type { Refused } from './errors.ts';
import type { Properties } from './mapping.ts';

/** `idProperty` undefined: `id` is HubSpot's own. */
export interface Addressed {
  readonly way: 'find' | 'update' | 'upsert' | 'archive' | 'read';
  readonly id: string;
  readonly idProperty?: string | undefined;
  /** Goes in a request of its own, whatever shares its way. */
  readonly isAlone?: true;
}

export type Step = Addressed | { readonly way: 'create'; readonly isAlone?: true };

/** What a request's answer says of one record. */
export type StepResult =
  | { readonly status: 'done'; readonly code: number; readonly record: unknown }
  | Refused
  /** The answer does not say what became of it; `others`: it does of other records. */
  | { readonly status: 'unmatched'; readonly others: boolean };

export type Next = { readonly step: Step } | { readonly outcome: CallOutcome };

/** A call with what is written for it. */
export interface Item {
  readonly call: Call;
  readonly properties: Properties;
}

export interface Steps {
  /** The error: why nothing can be asked. */
  first(item: Item): Step | ProviderError;
  next(item: Item, step: Step, result: StepResult): Next;
  /** The value by which the record would be found that HubSpot has already. */
  lookupValue(item: Item): string | undefined;
}

export function createSteps(options: HubspotOptions): Steps {
  const { record_id_property: recordIdProperty, lookup_property: lookupProperty, on_duplicate: onDuplicate } = options;

  return { first, next, lookupValue };

  function lookupValue({ properties }: Item): string | undefined {
    const value = properties[lookupProperty];
    return value === '' ? undefined : value;
  }

  function first(item: Item): Step | ProviderError {
    const { kind, providerRecordId, recordId } = item.call;
    const isWrite = kind === 'create' || kind === 'upsert';
    const way = kind === 'delete' ? 'archive' : kind === 'read' ? 'read' : 'update';
    if (providerRecordId !== undefined) return { way, id: providerRecordId };
    if (isWrite) return creation(item);
    if (recordIdProperty === null) return unknownId;
    return { way: kind === 'delete' ? 'find' : way, id: recordId, idProperty: recordIdProperty };
  }

  function creation(item: Item): Step | ProviderError {
    const { kind, recordId, isInDoubt } = item.call;
    if (recordIdProperty !== null) return { way: 'upsert', id: recordId, idProperty: recordIdProperty };
    const value = lookupValue(item);
    if (kind === 'upsert' && value !== undefined) return { way: 'upsert', id: value, idProperty: lookupProperty };
    if (!isInDoubt) return { way: 'create' };
    return value === undefined ? inDoubt(lookupProperty) : { way: 'find', id: value, idProperty: lookupProperty };
  }

  function next(item: Item, step: Step, result: StepResult): Next {
    if (result.status === 'unmatched') return nextOfUnmatched(step, result.others);
    if (result.status === 'done') return step.way === 'find' ? nextOfFound(item, result.record) : accepted(item.call, step, result);
    const { error } = result;
    if (error.kind === 'gone') return nextOfMissing(item, step, error);
    if (error.kind === 'conflict') return nextOfConflict(item, step, result);
    return failed(error);
  }

  function nextOfFound(item: Item, record: unknown): Next {
    const id = textOf(record, 'id');
    if (id === undefined) return failed({ ...unreadable, kind: 'transient' });
    if (item.call.kind === 'delete') return { step: { way: 'archive', id } };
    if (onDuplicate === 'report' && !isOurs(item, record)) return failed(duplicate(id));
    return { step: { way: 'update', id } };
  }

  /** Where found records are not to be touched: what has our id, or, where that is not kept, what an earlier attempt can have made. */
  function isOurs({ call }: Item, record: unknown): boolean {
    if (recordIdProperty === null) return !wasThereBefore(memberOf(record, 'createdAt'), call);
    return textOf(memberOf(record, 'properties'), recordIdProperty) === call.recordId;
  }

  function nextOfMissing(item: Item, step: Step, error: ProviderError): Next {
    const { kind } = item.call;
    if (kind === 'delete') return { outcome: { status: 'accepted', providerStatus: 404 } };
    if (step.way === 'find') return { step: { way: 'create' } };
    if (step.way !== 'update' || (kind !== 'create' && kind !== 'upsert')) return failed(error);
    // Whom it was linked to is gone, so it is made anew.
    const again = creation(item);
    return 'way' in again ? { step: again } : failed(again);
  }

  function nextOfConflict({ call }: Item, step: Step, { error, existingId }: Refused): Next {
    const isCreation = step.way === 'create' || step.way === 'upsert';
    if (existingId === undefined && step.way === 'create' && !step.isAlone) return { step: { way: 'create', isAlone: true } };
    if (existingId === undefined) return failed({ ...error, code: 'duplicate_record' });
    if (isCreation && onDuplicate === 'link' && existingId !== call.providerRecordId) return { step: { way: 'update', id: existingId } };
    // Our own first attempt may have been carried out since we looked.
    if (isCreation && call.isInDoubt) return { step: { way: 'find', id: existingId } };
    return failed({ ...duplicate(existingId), ...(error.answer === undefined ? {} : { answer: error.answer }) });
  }
}

/**
 * What the answer did not speak of is asked for alone, unless that would repeat a plain create. A batch of changes whose answer speaks of
 * none is not taken apart: it is repeated as a whole later.
 */
function nextOfUnmatched(step: Step, others: boolean): Next {
  const isRead = step.way === 'find' || step.way === 'read';
  if (step.way !== 'create' && (isRead || others) && !step.isAlone) return { step: { ...step, isAlone: true } };
  return failed(isRead ? { ...unmatched, kind: 'transient' } : unmatched);
}

function accepted(call: Call, step: Step, { code, record }: Extract<StepResult, { status: 'done' }>): Next {
  const known = step.way === 'create' || step.idProperty !== undefined ? undefined : step.id;
  const id = textOf(record, 'id') ?? known;
  if (id === undefined && step.way === 'create') return failed(unreadable);
  const link = id === undefined || call.kind === 'delete' ? {} : { providerRecordId: id };
  return { outcome: { status: 'accepted', providerStatus: code, ...link, ...(step.way === 'read' ? { result: record } : {}) } };
}

function failed(error: ProviderError): Next {
  return { outcome: { status: 'failed', error } };
}

function duplicate(id: string): ProviderError {
  return { kind: 'conflict', code: 'duplicate_record', message: `the provider has such a record already: ${id}`, providerStatus: 409 };
}

const unreadable: ProviderError = {
  kind: 'ambiguous',
  code: 'unreadable_answer',
  message: 'the answer does not say what became of the record',
};
const unmatched: ProviderError = {
  kind: 'ambiguous',
  code: 'malformed_batch_answer',
  message: 'the answer to the batch does not say what became of the record',
};

function inDoubt(lookupProperty: string): ProviderError {
  const message =
    `an earlier attempt may have made the record, and the payload has no ${lookupProperty} to find it by: ` +
    'set options.record_id_property to a unique property, or options.lookup_property to one that payloads have';
  return { kind: 'invalid', code: 'create_in_doubt', message };
}

const unknownId: ProviderError = {
  kind: 'invalid',
  code: 'unknown_provider_record_id',
  message: 'HubSpot’s id of the record is not known: create it through here first, or set options.record_id_property',
};
