/**
 * From an operation's data to what a provider gets: fields renamed, dropped or refused by `mapping` and `unknown_fields`, then checked
 * by the provider's schema. Without any of these the text goes through as it came, unparsed: that is the common case, and parsing is
 * what would cost most here. The id that a create adds to its body is Sluice's doing, and is not held against the schema.
 */
import type { OperationKind } from '../../shared/domain/operation.ts';
import type { ProviderError } from '../../shared/domain/provider-error.ts';
import type { ProviderConfig } from '../../shared/providers/config.ts';
import { compilePayloadSchema, type FieldError, type PayloadCheck } from '../../shared/providers/payload-schema.ts';

export type Mapped = { readonly status: 'mapped'; readonly json: string } | { readonly status: 'refused'; readonly error: ProviderError };

export interface PayloadMapper {
  /** `recordId` given: the body gets it as `id` unless it has one. Pure; never throws. */
  map(kind: OperationKind, dataJson: string, recordId: string | undefined): Mapped;
}

type Fields = Record<string, unknown>;
type Rules = Pick<ProviderConfig, 'mapping' | 'unknownFields' | 'schema'>;

export function createPayloadMapper(rules: Rules): PayloadMapper {
  const isIdentity = rules.mapping === undefined && rules.schema === undefined;
  const mapFields = createFieldMapper(rules);
  const whole = rules.schema && compilePayloadSchema(rules.schema);
  const partial = rules.schema && compilePayloadSchema(rules.schema, { isPartial: true });

  return {
    map(kind, dataJson, recordId) {
      if (isIdentity) return recordId === undefined ? { status: 'mapped', json: dataJson } : addId(dataJson, recordId);
      const data = parseObject(dataJson);
      if (!data) return notAnObject;
      const { mapped, unknown } = mapFields(data);
      if (unknown.length > 0) return refuse('unknown_field', `not known: ${unknown.slice(0, 10).join(', ')}`);
      const errors = check(kind === 'update' ? partial : whole, mapped);
      if (errors.length > 0)
        return refuse('invalid_payload', errors.map(({ path, message }) => `${path === '' ? 'the payload' : path} ${message}`).join('; '));
      if (recordId !== undefined && !Object.hasOwn(mapped, 'id')) mapped['id'] = recordId;
      return { status: 'mapped', json: JSON.stringify(mapped) };
    },
  };
}

function check(schema: PayloadCheck | undefined, payload: Fields): readonly FieldError[] {
  return schema?.check(payload) ?? [];
}

/** A field is known when the mapping names it; without a mapping, when the schema has it among its properties. */
function createFieldMapper({ mapping, unknownFields, schema }: Rules): (data: Fields) => { mapped: Fields; unknown: string[] } {
  const targets = new Map<string, string | null>(
    mapping ? Object.entries(mapping) : Object.keys(schema?.['properties'] ?? {}).map((name) => [name, name]),
  );
  const taken = new Set(targets.values());
  return (data) => {
    // Without a prototype: a field may be called __proto__.
    const mapped: Fields = Object.create(null);
    const unknown: string[] = [];
    for (const [name, value] of Object.entries(data)) {
      const target = targets.get(name);
      if (target === null) continue;
      if (target !== undefined) mapped[target] = value;
      else if (unknownFields === 'refuse') unknown.push(name);
      // A field that is passed on never displaces a mapped one.
      else if (unknownFields === 'pass' && !taken.has(name)) mapped[name] = value;
    }
    return { mapped, unknown };
  };
}

/** Adds `id` at the front without parsing where the text can have no member of that name. */
function addId(dataJson: string, recordId: string): Mapped {
  const id = `{"id":${JSON.stringify(recordId)}`;
  const isPlain = dataJson.startsWith('{') && !dataJson.includes('"id"') && !dataJson.includes('\\u');
  if (!isPlain) {
    const data = parseObject(dataJson);
    if (!data) return notAnObject;
    if (Object.hasOwn(data, 'id')) return { status: 'mapped', json: dataJson };
  }
  const members = dataJson.slice(dataJson.indexOf('{') + 1);
  return { status: 'mapped', json: members.trimStart() === '}' ? `${id}}` : `${id},${members}` };
}

function parseObject(json: string): Fields | undefined {
  try {
    const data: unknown = JSON.parse(json);
    return typeof data === 'object' && data !== null && !Array.isArray(data) ? (data as Fields) : undefined;
  } catch {
    return undefined;
  }
}

const notAnObject: Mapped = refuse('invalid_payload', 'the payload must be a JSON object');

function refuse(code: 'invalid_payload' | 'unknown_field', message: string): Mapped {
  return { status: 'refused', error: { kind: 'invalid', code, message } };
}
