/** The keys by which rows are found: the values of external ids, lookup fields and `Email`. */
import type { Row } from './record-table.ts';
import { matchFields, type SalesforceSettings } from './settings.ts';

/** Equal for values that Salesforce takes for the same. */
export function matchKey(settings: SalesforceSettings, type: string, field: string, value: unknown): string {
  const isExact = settings.case_sensitive_external_ids && settings.external_id_fields.includes(field);
  const text = String(value);
  return `${type}/${field}/${isExact ? text : text.toLowerCase()}`;
}

export function keyedFields(settings: SalesforceSettings): readonly string[] {
  const fields = matchFields(settings);
  return fields.includes('Email') ? fields : [...fields, 'Email'];
}

export function matchKeysOf(settings: SalesforceSettings, { type, fields }: Row): readonly string[] {
  const keys: string[] = [];
  for (const field of keyedFields(settings)) {
    if (fields[field] !== undefined) keys.push(matchKey(settings, type, field, fields[field]));
  }
  return keys;
}
