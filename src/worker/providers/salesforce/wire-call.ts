/**
 * What an operation becomes on Salesforce's wire. The shape says which request it takes; calls of one sObject and one shape can share a
 * batch. A record whose id at Salesforce is known is addressed by it, whatever the operation; else by external id, where there is one.
 */
import type { ProviderError } from '../../../shared/domain/provider-error.ts';
import type { ProviderConfig } from '../../../shared/providers/config.ts';
import type { SalesforceOptions } from '../../../shared/providers/kinds/salesforce-options.ts';
import { type CanonicalMapper, createCanonicalMapper } from '../canonical-mapper.ts';
import { encodeSegment } from '../path-segment.ts';
import { invalidPayload } from '../payload-rules.ts';
import type { Call, Preparation, PreparedCall } from '../provider.ts';
import { defaultsOf, requiredFieldsOf } from './fields.ts';

export type Shape =
  | 'create'
  | 'upsert'
  | 'update'
  | 'update_by_external_id'
  | 'delete'
  | 'delete_by_external_id'
  | 'read'
  | 'read_by_external_id';

export interface WireCall {
  readonly shape: Shape;
  readonly object: string;
  /** The record's id at Salesforce; of the shapes that need it. */
  readonly id: string;
  /** Mapped; without what is said elsewhere: ids, the external id, the type. */
  readonly fields: Readonly<Record<string, unknown>>;
}

export interface WireCalls {
  /** Undefined where the record cannot be addressed. */
  shapeOf(call: Call): Shape | undefined;
  prepare(call: Call): Preparation;
  objectOf(entity: string): string;
  /** What a read asks for; undefined: whatever there is. */
  readFieldsOf(object: string): readonly string[] | undefined;
}

/** Of a call that `prepare` has prepared. */
export const wireOf = (prepared: PreparedCall): WireCall => prepared.body as WireCall;

const objectName = /^[A-Za-z][A-Za-z0-9_]{0,79}$/;
/** Names that say which record it is, or of what type: not the payload's affair. In lower case: Salesforce's names have none. */
const reservedNames = ['id', 'attributes'];

/** Throws on a schema that cannot be compiled. */
export function createWireCalls(config: ProviderConfig, options: SalesforceOptions): WireCalls {
  const { objects, external_id_field: externalIdField } = options;
  const reserved = new Set(externalIdField === null ? reservedNames : [...reservedNames, externalIdField.toLowerCase()]);
  const mappers = new Map<string, CanonicalMapper>();
  const objectOf = (entity: string) => (Object.hasOwn(objects, entity) ? (objects[entity] as string) : entity);
  const mapperOf = (object: string) => {
    // Objects without defaults share one, so that entities cannot fill the memory.
    const defaults = defaultsOf(object);
    const key = Object.keys(defaults).length === 0 ? '' : object;
    const mapper = mappers.get(key) ?? createCanonicalMapper(config, defaults, { country: options.default_country });
    mappers.set(key, mapper);
    return mapper;
  };
  // A schema that cannot be compiled is found now.
  mapperOf('');

  function shapeOf({ kind, providerRecordId }: Call): Shape | undefined {
    const isKnown = providerRecordId !== undefined;
    if (kind === 'create' || kind === 'upsert') return isKnown ? 'update' : externalIdField === null ? 'create' : 'upsert';
    if (isKnown) return kind;
    return externalIdField === null ? undefined : `${kind}_by_external_id`;
  }

  function fieldsOf(call: Call, object: string): { fields: Record<string, unknown> } | { error: ProviderError } {
    const mapped = mapperOf(object).map(call);
    if (mapped.status === 'refused') return mapped;
    const fields: Record<string, unknown> = Object.create(null);
    for (const [name, value] of Object.entries(mapped.fields)) if (!reserved.has(name.toLowerCase())) fields[name] = value;
    return { fields };
  }

  return {
    shapeOf,
    objectOf,

    prepare(call) {
      const shape = shapeOf(call);
      const object = objectOf(call.entity);
      if (!shape) return refuse(idUnknown);
      if (!objectName.test(object)) return refuse(unfitForPath);
      if (shape !== 'create' && call.providerRecordId === undefined && encodeSegment(call.recordId) === undefined)
        return refuse(unfitForPath);
      const id = call.providerRecordId ?? '';
      if (call.dataJson === undefined) return { status: 'prepared', prepared: { call, body: { shape, object, id, fields: {} } } };
      const mapped = fieldsOf(call, object);
      if ('error' in mapped) return refuse(mapped.error);
      const { fields } = mapped;
      const error = shape === 'update' ? undefined : checkRequired(call, object, fields);
      return error ? refuse(error) : { status: 'prepared', prepared: { call, body: { shape, object, id, fields } satisfies WireCall } };
    },

    readFieldsOf(object) {
      const names = new Set<string>(['Id']);
      const { mapping = {}, schema } = config;
      for (const [name, { field }] of Object.entries(defaultsOf(object)))
        if (field !== null && !Object.hasOwn(mapping, name)) names.add(field);
      for (const field of Object.values(mapping)) if (field !== null) names.add(field);
      if (config.mapping === undefined) for (const name of Object.keys(schema?.['properties'] ?? {})) names.add(name);
      if (names.size === 1) return undefined;
      if (externalIdField !== null) names.add(externalIdField);
      return [...names];
    },
  };
}

/**
 * Of a create all of them must be there; of an upsert, which may find the record, none may be cleared. Salesforce would say the same, at the
 * cost of a call.
 */
function checkRequired({ kind }: Call, object: string, fields: Record<string, unknown>): ProviderError | undefined {
  const isMissing = (name: string) => {
    const value = fields[name];
    return value === null || value === '' || (kind === 'create' && value === undefined);
  };
  const missing = requiredFieldsOf(object).filter(isMissing);
  return missing.length > 0
    ? invalidPayload(`${missing.join(', ')} ${missing.length > 1 ? 'are' : 'is'} required of a ${object}`)
    : undefined;
}

function refuse(error: ProviderError): Preparation {
  return { status: 'refused', error };
}

const idUnknown: ProviderError = {
  kind: 'invalid',
  code: 'unknown_provider_record_id',
  message:
    'Salesforce’s id of this record is not known: it was not made here, and the provider has no options.external_id_field to find it by',
};
const unfitForPath: ProviderError = {
  kind: 'invalid',
  code: 'invalid_record_id',
  message: 'the record id or the entity cannot be part of a path',
};
