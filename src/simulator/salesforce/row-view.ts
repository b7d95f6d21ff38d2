/** What a row looks like to its readers. */
import { fieldOf, systemFields } from './object-types.ts';
import { type Org, objectTypeOf } from './org.ts';
import type { Row } from './record-table.ts';
import { toDateTime } from './salesforce-dates.ts';

/** The row's value of the field with that exact name; null where it has none. */
export function fieldValue(row: Row, field: string): unknown {
  const value = row.fields[field];
  if (value !== undefined) return value;
  switch (field) {
    case 'Id':
      return row.id;
    case 'IsDeleted':
      return row.isDeleted;
    case 'CreatedDate':
      return toDateTime(row.createdMs);
    case 'LastModifiedDate':
    case 'SystemModstamp':
      return toDateTime(row.modifiedMs);
    case 'Name': {
      const name = [row.fields['FirstName'], row.fields['LastName']].filter((part) => part !== undefined).join(' ');
      return name === '' ? null : name;
    }
    default:
      return null;
  }
}

export type Resolved = { readonly is: 'resolved'; readonly fields: readonly string[] } | { readonly is: 'unknown'; readonly field: string };

/** The fields' own names. */
export function resolveFields(org: Org, typeName: string, names: readonly string[]): Resolved {
  const fields: string[] = [];
  for (const name of names) {
    const field = resolveField(org, typeName, name);
    if (field === undefined) return { is: 'unknown', field: name };
    fields.push(field);
  }
  return { is: 'resolved', fields };
}

/** The field's own name, whatever case it is written in; undefined when the type has none such. */
export function resolveField(org: Org, typeName: string, name: string): string | undefined {
  const external = org.settings.external_id_fields.find((known) => known.toLowerCase() === name.toLowerCase());
  return external ?? fieldOf(objectTypeOf(org, typeName), name, org.settings.allow_custom_fields)?.name;
}

/** All fields of the type, and the custom ones that the row has. */
export function allFields(org: Org, row: Row): readonly string[] {
  const known = Object.keys(objectTypeOf(org, row.type).fields);
  return [...new Set([...Object.keys(systemFields), ...known, ...org.settings.external_id_fields, ...Object.keys(row.fields)])];
}

export function urlOf({ type, id }: Row, version: number): string {
  return `/services/data/v${version}.0/sobjects/${type}/${id}`;
}

export function project(row: Row, fields: readonly string[], version: number): Record<string, unknown> {
  const seen: Record<string, unknown> = { attributes: { type: row.type, url: urlOf(row, version) } };
  for (const field of fields) seen[field] = fieldValue(row, field);
  return seen;
}
