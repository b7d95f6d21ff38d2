/**
 * From an operation's data to what a provider gets: fields renamed, dropped or refused by `mapping` and `unknown_fields`, then checked
 * by the provider's schema. Without any of these the text goes through as it came, unparsed: that is the common case, and parsing is
 * what would cost most here. The id that a create adds to its body is Sluice's doing, and is not held against the schema.
 */
import type { OperationKind } from '../../shared/domain/operation.ts';
import type { ProviderError } from '../../shared/domain/provider-error.ts';
import { createSchemaCheck, type Fields, notAnObject, parseObject, type Rules, targetsOf, unknownFields } from './payload-rules.ts';

export type Mapped = { readonly status: 'mapped'; readonly json: string } | { readonly status: 'refused'; readonly error: ProviderError };

export interface PayloadMapper {
  /** `recordId` given: the body gets it as `id` unless it has one. Pure; never throws. */
  map(kind: OperationKind, dataJson: string, recordId: string | undefined): Mapped;
}

export function createPayloadMapper(rules: Rules): PayloadMapper {
  const isIdentity = rules.mapping === undefined && rules.schema === undefined;
  const mapFields = createFieldMapper(rules);
  const check = createSchemaCheck(rules);

  return {
    map(kind, dataJson, recordId) {
      if (isIdentity) return recordId === undefined ? { status: 'mapped', json: dataJson } : addId(dataJson, recordId);
      const data = parseObject(dataJson);
      if (!data) return refuse(notAnObject);
      const { mapped, unknown } = mapFields(data);
      const error = unknown.length > 0 ? unknownFields(unknown) : check(kind, mapped);
      if (error) return refuse(error);
      if (recordId !== undefined && !Object.hasOwn(mapped, 'id')) mapped['id'] = recordId;
      return { status: 'mapped', json: JSON.stringify(mapped) };
    },
  };
}

function createFieldMapper(rules: Rules): (data: Fields) => { mapped: Fields; unknown: string[] } {
  const targets = targetsOf(rules);
  return (data) => {
    // Without a prototype: a field may be called __proto__.
    const mapped: Fields = Object.create(null);
    const others: string[] = [];
    for (const [name, value] of Object.entries(data)) {
      const target = targets.get(name);
      if (target === undefined) others.push(name);
      else if (target !== null) mapped[target] = value;
    }
    if (rules.unknownFields === 'refuse') return { mapped, unknown: others };
    // A field that is passed on never displaces a mapped one of the same payload.
    if (rules.unknownFields === 'pass') for (const name of others) if (!Object.hasOwn(mapped, name)) mapped[name] = data[name];
    return { mapped, unknown: [] };
  };
}

/** Adds `id` at the front without parsing where the text can have no member of that name. */
function addId(dataJson: string, recordId: string): Mapped {
  const id = `{"id":${JSON.stringify(recordId)}`;
  const isPlain = dataJson.startsWith('{') && !dataJson.includes('"id"') && !dataJson.includes('\\u');
  if (!isPlain) {
    const data = parseObject(dataJson);
    if (!data) return refuse(notAnObject);
    if (Object.hasOwn(data, 'id')) return { status: 'mapped', json: dataJson };
  }
  const members = dataJson.slice(dataJson.indexOf('{') + 1);
  return { status: 'mapped', json: members.trimStart() === '}' ? `${id}}` : `${id},${members}` };
}

function refuse(error: ProviderError): Mapped {
  return { status: 'refused', error };
}
