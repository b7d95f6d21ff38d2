/**
 * One record's call from its first request to its outcome: what a refusal leads to is decided here, whether the record went alone, in a
 * collection or in a job.
 *
 * What always holds: a create that may have been carried out is looked up before it is made again; a record found in the way of another is
 * written to only where the provider is configured to link, or where an attempt of the same operation can have made it; an accepted create
 * or upsert has the record's id.
 *
 * Rejected: creating anew where the lookup finds several records. One of them may be ours, and nobody could tell them apart afterwards.
 */
import { isDeepStrictEqual } from 'node:util';
import type { SalesforceOptions } from '../../../shared/providers/kinds/salesforce-options.ts';
import type { Exchange } from '../exchange.ts';
import { memberOf } from '../json-members.ts';
import type { CallOutcome, PreparedCall } from '../provider.ts';
import { earliestMadeMs, wasThereBefore } from '../record-age.ts';
import { toProviderError, unlessCarriedOut } from './errors.ts';
import type { OwnWrites } from './own-writes.ts';
import { ask, idOf, type RecordReply, type Requests } from './requests.ts';
import { lookupQuery } from './soql.ts';
import { type Shape, type WireCall, wireOf } from './wire-call.ts';

export interface RecordCalls {
  /** The call alone, with all that it takes. */
  carryOut(prepared: PreparedCall, exchange: Exchange): Promise<CallOutcome>;
  /** From what became of the record among others to its outcome; asks further where that is needed. */
  conclude(prepared: PreparedCall, reply: RecordReply, exchange: Exchange): Promise<CallOutcome>;
}

type Refused = Extract<RecordReply, { status: 'refused' }>;
type Found = { readonly status: 'found'; readonly ids: readonly string[] } | { readonly status: 'ended'; readonly outcome: CallOutcome };

export function createRecordCalls(options: SalesforceOptions, requests: Requests, ownWrites: Pick<OwnWrites, 'note'>): RecordCalls {
  const { external_id_field: externalIdField, lookup_field: lookupField, on_duplicate: onDuplicate } = options;
  const { protect_foreign_edits: isProtecting } = options;

  async function carryOut(prepared: PreparedCall, exchange: Exchange): Promise<CallOutcome> {
    const { shape } = wireOf(prepared);
    if (shape === 'create' && prepared.call.isInDoubt) return findOrCreate(prepared, exchange);
    if (shape === 'delete_by_external_id') return findAndDelete(prepared, exchange);
    if (shape === 'delete' && isProtecting) return deleteUnlessEdited(prepared, exchange);
    return settle(prepared, await ask(exchange, requests.record(prepared)), exchange);
  }

  async function conclude(prepared: PreparedCall, reply: RecordReply, exchange: Exchange): Promise<CallOutcome> {
    // Among others a duplicate is reported without the record that it is one of: alone, with it.
    if (reply.status === 'refused' && isDuplicate(reply) && makesRecords(wireOf(prepared)) && idsInTheWay(prepared, reply).length === 0) {
      return carryOut(prepared, exchange);
    }
    return settle(prepared, reply, exchange);
  }

  /** Asks only for what the reply does not say. */
  async function settle(prepared: PreparedCall, reply: RecordReply, exchange: Exchange): Promise<CallOutcome> {
    if (reply.status === 'ended') return reply.outcome;
    if (reply.status === 'done') return accept(prepared, reply, exchange);
    const { call } = prepared;
    const wire = wireOf(prepared);
    const outcome = failureOf(prepared, reply);
    const isGone = outcome.error.kind === 'gone';
    if (isGone && call.kind === 'delete') return { status: 'accepted', providerStatus: reply.code };
    if (isGone && wire.shape === 'update' && call.kind !== 'update') return carryOut(anew(prepared), exchange);
    if (reply.code === 412 && call.isInDoubt && call.kind !== 'delete') return tellForeign(prepared, outcome, exchange);
    if (!isDuplicate(reply) || !makesRecords(wire)) return outcome;
    return meetDuplicate(prepared, reply, exchange);
  }

  async function accept(prepared: PreparedCall, reply: Extract<RecordReply, { status: 'done' }>, exchange: Exchange): Promise<CallOutcome> {
    const wire = wireOf(prepared);
    const { kind } = prepared.call;
    const accepted = { status: 'accepted' as const, providerStatus: reply.code };
    if (kind === 'read') return { ...accepted, ...(reply.id === undefined ? {} : { providerRecordId: reply.id }), result: reply.result };
    if (kind === 'delete') return accepted;
    const id = reply.id ?? (wire.id === '' ? undefined : wire.id);
    noteWrite(id, reply);
    if (id !== undefined) return { ...accepted, providerRecordId: id };
    if (kind === 'update') return accepted;
    if (wire.shape === 'create') return withoutId;
    // Older versions answer an upsert that updates with nothing.
    const found = await find(prepared, exchange);
    if (found.status === 'ended') return found.outcome;
    return found.ids[0] === undefined ? withoutId : { ...accepted, providerRecordId: found.ids[0] };
  }

  async function meetDuplicate(prepared: PreparedCall, reply: Refused, exchange: Exchange): Promise<CallOutcome> {
    const ids = idsInTheWay(prepared, reply);
    const outcome = failureOf(prepared, reply);
    const [id] = ids;
    if (ids.length === 0 || id === undefined) return outcome;
    // In doubt it may be our own: lookups may lag behind writes, rules against duplicates do not.
    const seen = ids.length === 1 && prepared.call.isInDoubt ? await tellOurs(prepared, id, exchange) : { isOurs: false };
    if ('outcome' in seen) return seen.outcome;
    if (ids.length === 1 && (onDuplicate === 'link' || seen.isOurs)) return link(prepared, { id, isOurs: seen.isOurs }, exchange);
    // First what a person needs: a rule's own words may be many.
    const message = `the provider has such a record already: ${ids.slice(0, 5).join(', ')} (${outcome.error.message})`;
    return { status: 'failed', error: { ...outcome.error, message } };
  }

  /** Whether an earlier attempt can have made the record. */
  async function tellOurs(prepared: PreparedCall, id: string, exchange: Exchange): Promise<{ isOurs: boolean } | { outcome: CallOutcome }> {
    const reply = await ask(exchange, requests.look(withWire(prepared, { id }), ['Id', 'CreatedDate']));
    if (reply.status === 'ended') return reply;
    if (reply.status === 'done') return { isOurs: !wasThereBefore(memberOf(reply.result, 'CreatedDate'), prepared.call) };
    const outcome = refusalOf(reply);
    return outcome.error.kind === 'gone' ? { isOurs: false } : { outcome };
  }

  async function link(prepared: PreparedCall, target: { id: string; isOurs: boolean }, exchange: Exchange): Promise<CallOutcome> {
    const { id, isOurs } = target;
    const reply = await ask(exchange, requests.link(prepared, id, isOurs));
    if (reply.status === 'ended') return reply.outcome;
    if (reply.status === 'refused') return refusalOf(reply);
    noteWrite(id, reply);
    return { status: 'accepted', providerStatus: reply.code, providerRecordId: id };
  }

  function noteWrite(id: string | undefined, { atMs }: Extract<RecordReply, { status: 'done' }>): void {
    if (isProtecting && id !== undefined && atMs !== undefined) ownWrites.note(id, atMs);
  }

  /** The edit in the way may be our own, of an attempt whose answer was lost: then the record has what we want it to have. */
  async function tellForeign(prepared: PreparedCall, foreign: CallOutcome, exchange: Exchange): Promise<CallOutcome> {
    const { fields } = wireOf(prepared);
    const reply = await ask(exchange, requests.look(prepared, ['Id', ...Object.keys(fields)]));
    if (reply.status === 'ended') return reply.outcome;
    if (reply.status === 'refused' || reply.id === undefined) return foreign;
    const record = reply.result as Record<string, unknown>;
    const isOurs = Object.entries(fields).every(([name, value]) => isDeepStrictEqual(record[name] ?? null, value === '' ? null : value));
    return isOurs ? { status: 'accepted', providerStatus: reply.code, providerRecordId: reply.id } : foreign;
  }

  async function findOrCreate(prepared: PreparedCall, exchange: Exchange): Promise<CallOutcome> {
    const { object, fields } = wireOf(prepared);
    // What was there before is not looked for. An upsert takes what has the value, whoever made it.
    const madeSinceMs = prepared.call.kind === 'create' ? earliestMadeMs(prepared.call) : undefined;
    const soql = lookupQuery(object, lookupField, fields[lookupField], madeSinceMs);
    if (soql === undefined) return cannotFindOut(lookupField);
    const reply = await ask(exchange, requests.query(soql));
    if (reply.status === 'ended') return reply.outcome;
    if (reply.status === 'refused') return refusalOf(reply);
    const ids = idsOfQuery(reply.result);
    if (!ids) return unreadableQuery;
    if (ids.length > 1) return severalFound(lookupField, ids);
    if (ids[0] !== undefined) return link(prepared, { id: ids[0], isOurs: true }, exchange);
    return settle(prepared, await ask(exchange, requests.record(prepared)), exchange);
  }

  async function findAndDelete(prepared: PreparedCall, exchange: Exchange): Promise<CallOutcome> {
    const found = await find(prepared, exchange);
    if (found.status === 'ended') return found.outcome;
    const [id] = found.ids;
    if (id === undefined) return { status: 'accepted', providerStatus: 404 };
    return carryOut(withWire(prepared, { shape: 'delete', id }), exchange);
  }

  /** The documents disagree on whether a DELETE looks at its condition; a read does. */
  async function deleteUnlessEdited(prepared: PreparedCall, exchange: Exchange): Promise<CallOutcome> {
    const seen = await ask(exchange, requests.lookUnlessEdited(prepared));
    const reply = seen.status === 'done' ? await ask(exchange, requests.record(prepared)) : seen;
    return settle(prepared, reply, exchange);
  }

  async function find(prepared: PreparedCall, exchange: Exchange): Promise<Found> {
    const reply = await ask(exchange, requests.look(prepared, ['Id']));
    if (reply.status === 'ended') return reply;
    if (reply.status === 'done')
      return reply.id === undefined ? { status: 'ended', outcome: unreadableQuery } : { status: 'found', ids: [reply.id] };
    const outcome = refusalOf(reply);
    return outcome.error.kind === 'gone' ? { status: 'found', ids: [] } : { status: 'ended', outcome };
  }

  /** The record that the id stood for is gone: the call goes its way as if the id had never been known. */
  function anew(prepared: PreparedCall): PreparedCall {
    return withWire(prepared, { shape: externalIdField === null ? 'create' : 'upsert', id: '' });
  }

  return { carryOut, conclude };
}

function withWire(prepared: PreparedCall, changes: Partial<WireCall>): PreparedCall {
  return { call: prepared.call, body: { ...wireOf(prepared), ...changes } satisfies WireCall };
}

function refusalOf(reply: Refused): Extract<CallOutcome, { status: 'failed' }> {
  return { status: 'failed', error: toProviderError({ ...reply, status: reply.code, isMaking: false }) };
}

/** The error's own words; of a plain create also whether it may have been carried out after all. */
function failureOf(prepared: PreparedCall, reply: Refused): Extract<CallOutcome, { status: 'failed' }> {
  const wire = wireOf(prepared);
  const refused = { ...reply, status: reply.code, isMaking: makesRecords(wire) };
  const error = toProviderError(refused);
  return { status: 'failed', error: wire.shape === 'create' ? unlessCarriedOut(error, refused) : error };
}

function isDuplicate({ errors }: Refused): boolean {
  return errors[0]?.code === 'DUPLICATES_DETECTED' || errors[0]?.code === 'DUPLICATE_VALUE';
}

const making: ReadonlySet<Shape> = new Set(['create', 'upsert']);
const makesRecords = ({ shape }: WireCall): boolean => making.has(shape);

/** A lead may be a duplicate of a contact: that is none to write a lead's fields to. */
function idsInTheWay(prepared: PreparedCall, { errors }: Refused): string[] {
  const { object: own } = wireOf(prepared);
  const matches = errors.flatMap((error) => error.matches).filter(({ object }) => object === undefined || object === own);
  return [...new Set(matches.map(({ id }) => id))];
}

function idsOfQuery(result: unknown): string[] | undefined {
  const records = typeof result === 'object' && result !== null ? (result as { records?: unknown }).records : undefined;
  if (!Array.isArray(records)) return undefined;
  const ids = records.map(idOf).filter((id) => id !== undefined);
  return ids.length === records.length ? ids : undefined;
}

const withoutId: CallOutcome = {
  status: 'failed',
  error: { kind: 'ambiguous', code: 'malformed_answer', message: 'the answer to the create does not say the record’s id' },
};

/** Transient: a question changes nothing. */
const unreadableQuery: CallOutcome = {
  status: 'failed',
  error: { kind: 'transient', code: 'malformed_answer', message: 'the answer to the lookup cannot be read' },
};

function cannotFindOut(lookupField: string): CallOutcome {
  const message =
    'the record may have been made by an earlier attempt, and there is nothing to find it by: ' +
    `set options.external_id_field, or give the record a ${lookupField} (options.lookup_field)`;
  return { status: 'failed', error: { kind: 'invalid', code: 'create_in_doubt', message } };
}

function severalFound(lookupField: string, ids: readonly string[]): CallOutcome {
  const message =
    `the record may have been made by an earlier attempt, and several have its ${lookupField}: ${ids.join(', ')}, …; ` +
    'with options.external_id_field they could be told apart';
  return { status: 'failed', error: { kind: 'conflict', code: 'create_in_doubt', message } };
}
