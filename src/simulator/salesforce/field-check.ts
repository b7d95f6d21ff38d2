/** Whether the values of a write are ones that the type's fields can hold, and what they are stored as. */
import { type Field, fieldOf, type ObjectType } from './object-types.ts';
import { readDateTime, toDateTime } from './salesforce-dates.ts';
import { errorOf, type SalesforceError } from './salesforce-errors.ts';
import { readId } from './salesforce-ids.ts';
import type { SalesforceSettings } from './settings.ts';

type Values = Readonly<Record<string, unknown>>;

/** `values` by the fields' own names; null clears. */
export type Checked = { readonly is: 'checked'; readonly values: Values } | { readonly is: 'failed'; readonly error: SalesforceError };

type Stored = { readonly value: unknown } | { readonly error: SalesforceError };

/** Checks the fields of a write; `attributes` is none. `isInsert` asks for all required fields, else none may be cleared. */
export function checkFields(
  settings: SalesforceSettings,
  typeName: string,
  { data, isInsert }: { data: Values; isInsert: boolean },
): Checked {
  const type = settings.objects[typeName] as ObjectType;
  const values: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(data)) {
    if (name === 'attributes') continue;
    const field = writableField(settings, type, name);
    if (!field) return failed(errorOf.noSuchColumn(typeName, name));
    if (field.kind === 'read_only') return failed(errorOf.notWritable(field.name));
    const stored = value === null || value === '' ? { value: null } : store(field, value);
    if ('error' in stored) return failed(stored.error);
    values[field.name] = stored.value;
  }
  const missing = type.required.filter((name) => (isInsert ? values[name] == null : values[name] === null));
  return missing.length > 0 ? failed(errorOf.missingFields(missing)) : { is: 'checked', values };
}

function writableField(settings: SalesforceSettings, type: ObjectType, name: string): Field | undefined {
  const external = settings.external_id_fields.find((known) => known.toLowerCase() === name.toLowerCase());
  return external === undefined
    ? fieldOf(type, name, settings.allow_custom_fields)
    : { name: external, kind: type.fields[external] ?? 255 };
}

function store({ name, kind }: Field, value: unknown): Stored {
  if (typeof value === 'object') return { error: errorOf.badJson(`Cannot deserialize the value of ${name}: a plain value was expected`) };
  switch (kind) {
    case 'any':
      return typeof value === 'string' ? storeText(name, value, 255) : { value };
    case 'email':
      return storeEmail(name, value);
    case 'boolean':
      return storeOne(name, kind, value, readBoolean(value));
    case 'double':
      return storeOne(name, kind, value, value === true || value === false ? undefined : finite(Number(value)));
    case 'date':
    case 'datetime':
      return storeOne(name, kind, value, readDate(kind, String(value)));
    case 'reference': {
      const id = readId(String(value));
      return id === undefined ? { error: errorOf.malformedId(name, String(value)) } : { value: id };
    }
    case 'read_only':
      return { error: errorOf.notWritable(name) };
    default:
      return typeof value === 'boolean' ? { error: errorOf.wrongValue(name, 'string', value) } : storeText(name, String(value), kind);
  }
}

function storeText(name: string, value: string, maxLength: number): Stored {
  return value.length > maxLength ? { error: errorOf.tooLong(name, value, maxLength) } : { value };
}

function storeEmail(name: string, value: unknown): Stored {
  const isAddress = typeof value === 'string' && /^[^\s@,;]+@[^\s@,;]+\.[^\s@,;.]+$/.test(value);
  return isAddress ? storeText(name, value, 80) : { error: errorOf.badEmail(name, value) };
}

function storeOne(name: string, kind: string, given: unknown, value: unknown): Stored {
  return value === undefined ? { error: errorOf.wrongValue(name, kind, given) } : { value };
}

/** A CSV file has no other way to write a truth value than as text. */
function readBoolean(value: unknown): boolean | undefined {
  if (typeof value === 'boolean') return value;
  const text = String(value).toLowerCase();
  return text === 'true' ? true : text === 'false' ? false : undefined;
}

function readDate(kind: 'date' | 'datetime', text: string): string | undefined {
  const atMs = readDateTime(text);
  if (atMs === undefined) return undefined;
  return kind === 'date' ? new Date(atMs).toISOString().slice(0, 10) : toDateTime(atMs);
}

function finite(value: number): number | undefined {
  return Number.isFinite(value) ? value : undefined;
}

function failed(error: SalesforceError): Checked {
  return { is: 'failed', error };
}
