/** What mapping a payload consists of for every kind: reading it, renaming its fields, checking it, and refusing it by name. */
import type { OperationKind } from '../../shared/domain/operation.ts';
import type { ProviderError } from '../../shared/domain/provider-error.ts';
import type { ProviderConfig } from '../../shared/providers/config.ts';
import { compilePayloadSchema } from '../../shared/providers/payload-schema.ts';

export type Fields = Record<string, unknown>;
export type Rules = Pick<ProviderConfig, 'mapping' | 'unknownFields' | 'schema'>;

/** Undefined unless the text is a JSON object. */
export function parseObject(json: string): Fields | undefined {
  try {
    const data: unknown = JSON.parse(json);
    return typeof data === 'object' && data !== null && !Array.isArray(data) ? (data as Fields) : undefined;
  } catch {
    return undefined;
  }
}

/** Source field to the provider's, null for one left out. A field is known when the mapping names it; without one, when the schema does. */
export function targetsOf({ mapping, schema }: Rules): Map<string, string | null> {
  return new Map(mapping ? Object.entries(mapping) : Object.keys(schema?.['properties'] ?? {}).map((name) => [name, name]));
}

export type SchemaCheck = (kind: OperationKind, payload: Fields) => ProviderError | undefined;

/** Updates hold changed fields only, so no required ones are asked of them. */
export function createSchemaCheck({ schema }: Rules): SchemaCheck {
  if (!schema) return () => undefined;
  const whole = compilePayloadSchema(schema);
  const partial = compilePayloadSchema(schema, { isPartial: true });
  return (kind, payload) => {
    const errors = (kind === 'update' ? partial : whole).check(payload);
    if (errors.length === 0) return undefined;
    return invalidPayload(errors.map(({ path, message }) => `${path === '' ? 'the payload' : path} ${message}`).join('; '));
  };
}

export function invalidPayload(message: string): ProviderError {
  return { kind: 'invalid', code: 'invalid_payload', message };
}

export function unknownFields(names: readonly string[]): ProviderError {
  return { kind: 'invalid', code: 'unknown_field', message: `not known: ${names.slice(0, 10).join(', ')}` };
}

export const notAnObject: ProviderError = invalidPayload('the payload must be a JSON object');
