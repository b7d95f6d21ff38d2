/** The org's duplicate rule: no two rows of a type with the same e-mail address, unless the caller says that it may be. */
import { matchKey } from './match-keys.ts';
import type { RecordTable, Row } from './record-table.ts';
import type { SalesforceError } from './salesforce-errors.ts';
import type { SalesforceSettings } from './settings.ts';

const message = 'Use one of these records?';

/** The refusal of a row with the given address, or undefined. `ownId` is the row that is being changed. */
export function refuseDuplicate(
  settings: SalesforceSettings,
  table: RecordTable,
  { type, email, ownId, version }: { type: string; email: unknown; ownId: string | undefined; version: number },
): SalesforceError | undefined {
  if (settings.duplicate_rule === 'off' || typeof email !== 'string') return undefined;
  const matches = table.withKey(matchKey(settings, type, 'Email', email)).filter((row) => row.id !== ownId);
  if (matches.length === 0) return undefined;
  const extra = { [settings.duplicate_result_name]: describe(type, matches, version) };
  return { httpStatus: 400, code: 'DUPLICATES_DETECTED', message, extra };
}

function describe(type: string, rows: readonly Row[], version: number) {
  const matchRecords = rows.map(({ id }) => ({
    additionalInformation: [],
    fieldDiffs: [],
    matchConfidence: 100.0,
    record: { attributes: { type, url: `/services/data/v${version}.0/sobjects/${type}/${id}` }, Id: id },
  }));
  const match = {
    entityType: type,
    errors: [],
    matchEngine: 'FuzzyMatchEngine',
    matchRecords,
    rule: `Standard_${type}_Match_Rule_v1_1`,
    size: rows.length,
    success: true,
  };
  return {
    allowSave: false,
    duplicateRule: `Standard_${type}_Duplicate_Rule`,
    duplicateRuleEntityType: type,
    errorMessage: message,
    matchResults: [match],
  };
}
