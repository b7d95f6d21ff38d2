/**
 * HubSpot's batch calls. Each input is first planned: it fails, or there is something to do for it; nothing is done before all are
 * planned. Failures then either stand beside the results of the others (207), or the first of them refuses the whole call and nothing is
 * done. Partial results need an objectWriteTraceId in every input; records that are missing are an exception, they are always told apart.
 */
import { objectOf, parseJson } from '../request-reading.ts';
import type { Reply, SimulatedItem, SimulatedRequest, ToldFailure } from '../simulated-provider.ts';
import { type HubspotError, invalid, notFound, toldError, toldReply, toReply } from './errors.ts';
import { type HubspotRecord, uniqueKey } from './object-store.ts';
import { type ObjectType, readValues, uniqueProperties, type Values } from './properties.ts';
import { toIso, viewOf } from './record-view.ts';
import { type BatchAction, type BatchInput, inputsOf, itemOf } from './routes.ts';
import type { HubspotSettings } from './settings.ts';
import { type CallDeps, conflict, refuseIdProperty, refuseNew } from './single.ts';

export interface BatchDeps extends CallDeps {
  readonly now: () => number;
  readonly failItem: (item: SimulatedItem) => ToldFailure | undefined;
}

type Plan =
  | { readonly does: 'create'; readonly values: Values }
  | { readonly does: 'update'; readonly record: HubspotRecord; readonly values: Values }
  | { readonly does: 'read' | 'archive'; readonly record: HubspotRecord }
  | { readonly does: 'nothing' }
  | { readonly does: 'miss' }
  | { readonly does: 'fail'; readonly error: HubspotError; readonly existingId?: string; readonly told?: ToldFailure };

interface Batch {
  readonly type: ObjectType;
  readonly action: BatchAction;
  readonly inputs: readonly BatchInput[];
  readonly deps: BatchDeps;
  /** Of a read: properties asked for, and whether archived records are meant. */
  readonly properties: readonly string[];
  readonly isArchived: boolean;
  /** Unique values that an earlier input of the same batch takes. */
  readonly claimed: Set<string>;
}

export function answerBatch(type: ObjectType, action: BatchAction, request: SimulatedRequest, deps: BatchDeps): Reply {
  const body = parseJson(request.text);
  const inputs = inputsOf(body);
  const refusal = refuseInputs(type, action, inputs, deps.settings);
  if (!inputs || refusal) return toReply(refusal ?? invalid('Invalid input JSON'), deps.random);
  const { idProperty, properties } = objectOf(body);
  const batch: Batch = {
    type,
    action,
    // It stands beside the inputs when records are read, in each of them when they are written.
    inputs: inputs.map((input) => ({
      ...input,
      idProperty: input.idProperty ?? (typeof idProperty === 'string' ? idProperty : undefined),
    })),
    deps,
    properties: Array.isArray(properties) ? properties.filter((name) => typeof name === 'string') : [],
    isArchived: request.query.get('archived') === 'true',
    claimed: new Set(),
  };
  const plans = batch.inputs.map((input) => plan(batch, input));
  const failed = plans.find((one) => one.does === 'fail');
  if (failed && !allowsPartialResults(batch)) return refuseWhole(type, failed, deps.random);
  return report(batch, plans);
}

function refuseInputs(type: ObjectType, action: BatchAction, inputs: readonly BatchInput[] | undefined, settings: HubspotSettings) {
  if (!inputs) return invalid('Invalid input JSON: inputs is not an array of inputs');
  if (inputs.length === 0) return invalid('Some required fields were not set: [inputs]');
  if (inputs.length > settings.max_inputs) {
    return invalid(`The maximum number of inputs supported in a batch request for object type ${type.name} is ${settings.max_inputs}.`);
  }
  if (action === 'create') return undefined;
  if (inputs.some(({ id }) => id === undefined)) return invalid('Some required fields were not set: [id]');
  const repeated = repeatedIds(type, inputs);
  if (repeated.length === 0) return undefined;
  const message = `Duplicate IDs found in batch input: [${repeated.join(', ')}]. IDs must be unique`;
  return invalid(message, { context: { ids: repeated } });
}

function repeatedIds(type: ObjectType, inputs: readonly BatchInput[]): readonly string[] {
  const seen = new Set<string>();
  const repeated = new Set<string>();
  for (const { id = '', idProperty = '' } of inputs) {
    const key = uniqueKey(type, idProperty, id);
    if (seen.has(key)) repeated.add(id);
    seen.add(key);
  }
  return [...repeated];
}

function plan(batch: Batch, input: BatchInput): Plan {
  const { type, action, deps } = batch;
  const told = deps.failItem(itemOf(input, action === 'archive' ? 'delete' : action, type, deps.settings));
  if (told) return { does: 'fail', error: toldError(told), told };
  const badProperty = refuseIdProperty(type, input.idProperty, deps.settings);
  if (badProperty) return { does: 'fail', error: badProperty };
  const record = recordOf(batch, input);
  if (action === 'archive') return record ? { does: 'archive', record } : { does: 'nothing' };
  if (action === 'read') return record ? { does: 'read', record } : { does: 'miss' };
  if (!record && (action === 'update' || (action === 'upsert' && input.idProperty === undefined))) return { does: 'miss' };
  return planWrite(batch, input, record);
}

function recordOf({ type, action, isArchived, deps: { store } }: Batch, { id = '', idProperty }: BatchInput): HubspotRecord | undefined {
  if (action === 'create') return undefined;
  return action === 'read' && isArchived ? store.findArchived(type, id) : store.find(type, id, idProperty);
}

function planWrite({ type, action, deps, claimed }: Batch, input: BatchInput, record: HubspotRecord | undefined): Plan {
  const { store, settings } = deps;
  const isNewUpsert = action === 'upsert' && !record && input.idProperty !== undefined;
  const given = isNewUpsert ? { ...(input.properties as object), [input.idProperty]: input.id } : input.properties;
  const read = readValues(type, given, settings);
  if ('error' in read) return { does: 'fail', error: read.error };
  const holder = store.holderOf(type, read.values, record?.id);
  if (holder) return { does: 'fail', error: conflict(type, holder, settings), existingId: holder.id };
  // An upsert's key tells the record apart by itself, whatever else it lacks.
  const refusal = record || isNewUpsert ? undefined : refuseNew(type, read.values);
  if (refusal) return { does: 'fail', error: refusal };
  for (const property of uniqueProperties(type, settings)) {
    const value = read.values[property];
    if (!value) continue;
    const key = uniqueKey(type, property, value);
    if (claimed.has(key)) return { does: 'fail', error: alreadyExists(type) };
    claimed.add(key);
  }
  return record ? { does: 'update', record, values: read.values } : { does: 'create', values: read.values };
}

function allowsPartialResults({ action, inputs, deps: { settings } }: Batch): boolean {
  if (action === 'read') return true;
  if (action === 'archive' || inputs.some(({ traceId }) => traceId === undefined)) return false;
  if (action === 'create') return true;
  const isByEmail = action === 'upsert' && inputs.some(({ idProperty }) => idProperty === 'email');
  return settings.partial_update_upsert && (!isByEmail || settings.partial_upsert_by_email);
}

function refuseWhole(type: ObjectType, { error, told }: Plan & { does: 'fail' }, random: () => number): Reply {
  if (told) return toldReply(told, random);
  // Unlike the refusal of a single create, it does not say which record it is.
  return toReply(error.status === 409 ? alreadyExists(type) : error, random);
}

function alreadyExists({ singular }: ObjectType): HubspotError {
  return { status: 409, category: 'CONFLICT', message: `${singular[0]?.toUpperCase()}${singular.slice(1)} already exists` };
}

function report(batch: Batch, plans: readonly Plan[]): Reply {
  const { action, inputs, type, deps } = batch;
  const startedAt = toIso(Math.floor(deps.now()));
  const results = plans.flatMap((one, at) => carryOut(batch, one, inputs[at] as BatchInput));
  if (action === 'archive') return { status: 204 };
  const missed = inputs.filter((_, at) => plans[at]?.does === 'miss').map(({ id = '' }) => id);
  const errors = plans.flatMap((one, at) => (one.does === 'fail' ? [toEntry(one, inputs[at] as BatchInput, deps.settings)] : []));
  if (missed.length > 0) errors.push(missEntry(type, missed));
  const times = { requestedAt: startedAt, startedAt, completedAt: toIso(Math.floor(deps.now())) };
  const shown = deps.settings.shuffle_results ? shuffled(results, deps.random) : results;
  const body = { status: 'COMPLETE', results: shown, ...times };
  if (errors.length > 0) return { status: 207, body: { ...body, numErrors: errors.length, errors } };
  return { status: action === 'create' ? 201 : 200, body };
}

function carryOut({ type, action, deps, properties }: Batch, one: Plan, { traceId }: BatchInput): readonly object[] {
  const { store, settings, author } = deps;
  const isNew = action === 'upsert' ? one.does === 'create' : undefined;
  if (one.does === 'create') return [viewOf(store.create(type, one.values, author), settings, { isNew, traceId })];
  if (one.does === 'update') {
    // Two inputs may mean one record by different keys: the later finds what the earlier left.
    const held = store.find(type, one.record.id) ?? one.record;
    return [viewOf(store.update(held, one.values, author), settings, { isNew, traceId })];
  }
  if (one.does === 'read') return [viewOf(one.record, settings, { properties })];
  if (one.does === 'archive') store.archive(one.record, author);
  return [];
}

function toEntry({ error, existingId }: Plan & { does: 'fail' }, input: BatchInput, settings: HubspotSettings) {
  const context: Record<string, readonly string[]> = {
    ...error.context,
    ...(input.traceId !== undefined && { objectWriteTraceId: [input.traceId] }),
    ...(input.id !== undefined && { ids: [input.id] }),
    ...(existingId !== undefined && { existingId: [existingId] }),
  };
  const category = error.status === 409 ? settings.batch_conflict_category : error.category;
  return { status: 'error', category, message: error.message, context, errors: error.errors ?? [], links: {} };
}

function missEntry(type: ObjectType, ids: readonly string[]): ReturnType<typeof toEntry> {
  const message = `Could not get some ${type.singular.toUpperCase()} objects, they may be deleted or not exist. Check that ids are valid.`;
  return { status: 'error', category: notFound.category, message, context: { ids }, errors: [], links: {} };
}

function shuffled<T>(items: readonly T[], random: () => number): readonly T[] {
  const mixed = [...items];
  for (let at = mixed.length - 1; at > 0; at -= 1) {
    const other = Math.floor(random() * (at + 1));
    [mixed[at], mixed[other]] = [mixed[other] as T, mixed[at] as T];
  }
  return mixed;
}
