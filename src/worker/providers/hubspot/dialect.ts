/**
 * The kind `hubspot`: objects of HubSpot's CRM API, one by one and in batches. What is sent for a call is decided in step.ts, how it is
 * written in requests.ts, and what came of it in results.ts and errors.ts.
 */
import type { ProviderError } from '../../../shared/domain/provider-error.ts';
import type { ProviderConfig } from '../../../shared/providers/config.ts';
import { type HubspotOptions, hubspotOptions } from '../../../shared/providers/kinds/hubspot-options.ts';
import { type CanonicalMapper, createCanonicalMapper } from '../canonical-mapper.ts';
import type { DialectFactory } from '../exchange.ts';
import type { Call, Preparation } from '../provider.ts';
import { budgetsOf } from './budgets.ts';
import { type CarryOutRules, carryOut } from './carry-out.ts';
import { defaultsOf, spellProperties } from './mapping.ts';
import type { RequestPlace } from './requests.ts';
import { createSteps, type Item } from './step.ts';

/** Most inputs of a batch call. */
const maxInputs = 100;
const usualBatchWaitMs = 20;

interface ObjectType extends RequestPlace {
  readonly mapper: CanonicalMapper;
}

/** `options.record_id_property` makes creates and upserts safe to repeat; without it the lookup property finds what was made already. */
export const createHubspotDialect: DialectFactory = (config) => {
  const options = hubspotOptions.parse(config.options);
  const steps = createSteps(options);
  const objectTypeOf = createObjectTypes(config, options);
  const rules: CarryOutRules = {
    steps,
    lookupProperty: options.lookup_property,
    placeOf: ({ call }) => objectTypeOf(call.entity) as ObjectType,
  };

  return {
    maxBatch: Math.min(config.batch?.maxRecords ?? maxInputs, maxInputs),
    batchWaitMs: config.batch?.maxWaitMs ?? usualBatchWaitMs,
    canShareBatch: (a, b) => a.entity === b.entity && (a.kind === b.kind || wayOf(a, options) === wayOf(b, options)),
    prepare(call) {
      const objectType = objectTypeOf(call.entity);
      if (!objectType) return { status: 'refused', error: noObjectType };
      return prepare(call, objectType.mapper);
    },
    carryOut: (calls, exchange) =>
      carryOut(
        calls.map(({ body }) => body as Item),
        exchange,
        rules,
      ),
    budgetsOf,
  };

  function prepare(call: Call, mapper: CanonicalMapper): Preparation {
    const mapped = call.dataJson === undefined ? noFields : mapper.map(call);
    if (mapped.status === 'refused') return mapped;
    const isCreation = call.kind === 'create' || call.kind === 'upsert';
    const own = isCreation && options.record_id_property !== null ? { [options.record_id_property]: call.recordId } : {};
    const spelled = spellProperties({ ...mapped.fields, ...own });
    if (spelled.status === 'refused') return spelled;
    const item: Item = { call, properties: spelled.properties };
    const step = steps.first(item);
    if (!('way' in step)) return { status: 'refused', error: step };
    return { status: 'prepared', prepared: { call, body: item } };
  }
};

/** Calls of one way go in one request, whatever their kinds. */
function wayOf({ kind, providerRecordId }: Call, options: HubspotOptions): string {
  if (kind !== 'create' && kind !== 'upsert') return kind;
  if (providerRecordId !== undefined) return 'update';
  return kind === 'upsert' || options.record_id_property !== null ? 'upsert' : 'create';
}

/** Of a delete and a read, which no schema is asked about. */
const noFields = { status: 'mapped', fields: {} } as const;

const maxObjectTypes = 64;
const objectTypeShape = /^[A-Za-z0-9_-]{1,80}$/;

/** Of an entity, made at its first use; undefined where its name cannot be an object type's. */
function createObjectTypes(config: ProviderConfig, options: HubspotOptions): (entity: string) => ObjectType | undefined {
  const known = new Map<string, ObjectType>();
  const own = Object.values(config.mapping ?? {}).flatMap((target) => target ?? []);
  const naming = [options.lookup_property, ...(options.record_id_property === null ? [] : [options.record_id_property])];
  return (entity) => {
    const name = Object.hasOwn(options.objects, entity) ? (options.objects[entity] as string) : entity;
    if (!objectTypeShape.test(name)) return undefined;
    const before = known.get(name);
    if (before) return before;
    const defaults = defaultsOf(name);
    const properties = Object.values(defaults).flatMap(({ field }) => field ?? []);
    const objectType: ObjectType = {
      root: `${options.api_path}/${name}`,
      readProperties: [...new Set([...naming, ...properties, ...own])],
      mapper: createCanonicalMapper(config, defaults, { country: options.default_country }),
    };
    // Entities come from callers, who may have any number of names.
    if (known.size >= maxObjectTypes) known.clear();
    known.set(name, objectType);
    return objectType;
  };
}

const noObjectType: ProviderError = {
  kind: 'invalid',
  code: 'invalid_record_id',
  message: 'the entity cannot be the name of an object type: options.objects can give it one',
};
