/** The kind `outreach`: prospects and other resources of Outreach's JSON:API, one by one. */
import type { ProviderError } from '../../../shared/domain/provider-error.ts';
import type { ProviderConfig } from '../../../shared/providers/config.ts';
import { type OutreachOptions, outreachOptions } from '../../../shared/providers/kinds/outreach-options.ts';
import type { CanonicalMapper } from '../canonical-mapper.ts';
import type { DialectFactory } from '../exchange.ts';
import type { Call, Preparation } from '../provider.ts';
import { budgetsOf } from './budgets.ts';
import { carryOut, type Item, inDoubt, type Place, unknownId } from './carry-out.ts';
import type { Wanted } from './find.ts';
import { type Attributes, createAttributeMapper, resourceTypeOf } from './mapping.ts';
import { createRequests, isRecordId } from './requests.ts';

interface Resource extends Place {
  readonly mapper: CanonicalMapper;
}

/** Bulk calls of Outreach are asynchronous and cannot create: every call goes alone. */
export const createOutreachDialect: DialectFactory = (config) => {
  const options = outreachOptions.parse(config.options);
  const resourceOf = createResources(config, options);

  return {
    maxBatch: 1,
    batchWaitMs: 0,
    canShareBatch: (a, b) => a.entity === b.entity && a.kind === b.kind,
    prepare(call) {
      const resource = resourceOf(call.entity);
      return resource ? prepare(call, resource, options) : { status: 'refused', error: noType };
    },
    carryOut: (calls, exchange) =>
      Promise.all(calls.map(({ call, body }) => carryOut(body as Item, exchange, resourceOf(call.entity) as Resource))),
    budgetsOf,
  };
};

function prepare(call: Call, { mapper, type }: Resource, options: OutreachOptions): Preparation {
  const mapped = call.dataJson === undefined ? noFields : mapper.map(call);
  if (mapped.status === 'refused') return mapped;
  const attributes: Attributes = mapped.fields;
  const externalId = options.external_id && type.externalId !== undefined ? externalIdOf(attributes[type.externalId], call) : undefined;
  const wanted: Wanted = { emails: type.emails === undefined ? [] : emailsOf(attributes, type.emails), externalId };
  const error = refusalOf(call, wanted);
  if (error) return { status: 'refused', error };
  return { status: 'prepared', prepared: { call, body: { call, attributes, wanted } satisfies Item } };
}

/** A payload may bring an external id of its own. */
function externalIdOf(own: unknown, { recordId }: Call): string {
  return typeof own === 'string' && own !== '' ? own : recordId;
}

function emailsOf(attributes: Attributes, name: string): string[] {
  const emails = attributes[name];
  return Array.isArray(emails) ? emails.filter((email): email is string => typeof email === 'string' && email !== '') : [];
}

/** What is known to fail is refused before a permit is spent on it. */
function refusalOf({ kind, providerRecordId, isInDoubt }: Call, { emails, externalId }: Wanted): ProviderError | undefined {
  if (providerRecordId !== undefined) return isRecordId(providerRecordId) ? undefined : notAnId;
  const isFindable = externalId !== undefined;
  if (kind === 'create' || kind === 'upsert') return isInDoubt && emails.length === 0 && !isFindable ? inDoubt : undefined;
  return isFindable ? undefined : unknownId;
}

/** Of a delete and a read, which no schema is asked about. */
const noFields = { status: 'mapped', fields: {} } as const;

const maxResources = 64;
const typeShape = /^[A-Za-z0-9_-]{1,80}$/;

/** Of an entity, made at its first use; undefined where its name cannot be a resource type's. */
function createResources(config: ProviderConfig, options: OutreachOptions): (entity: string) => Resource | undefined {
  const known = new Map<string, Resource>();
  const apiPath = new URL(config.baseUrl).pathname.replace(/\/+$/, '').endsWith(options.api_path) ? '' : options.api_path;
  return (entity) => {
    const name = Object.hasOwn(options.objects, entity) ? (options.objects[entity] as string) : entity;
    if (!typeShape.test(name)) return undefined;
    const before = known.get(name);
    if (before) return before;
    const type = resourceTypeOf(name);
    const resource: Resource = {
      type,
      requests: createRequests(apiPath, type),
      onDuplicate: options.on_duplicate,
      mapper: createAttributeMapper(name, config, options.default_country),
    };
    // Entities come from callers, who may have any number of names.
    if (known.size >= maxResources) known.clear();
    known.set(name, resource);
    return resource;
  };
}

const noType: ProviderError = {
  kind: 'invalid',
  code: 'invalid_record_id',
  message: 'the entity cannot be a resource type: options.objects can give it one',
};
const notAnId: ProviderError = { kind: 'invalid', code: 'invalid_record_id', message: 'the id known for the record is none of Outreach’s' };
