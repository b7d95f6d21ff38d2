/** The little SOQL that looking records up takes. */

const escapes: Readonly<Record<string, string>> = {
  '\\': '\\\\',
  "'": "\\'",
  '"': '\\"',
  '\n': '\\n',
  '\r': '\\r',
  '\t': '\\t',
  '\b': '\\b',
  '\f': '\\f',
};

/** Undefined for what cannot be looked up: nothing, and what is no single value. */
function toLiteral(value: unknown): string | undefined {
  if (typeof value === 'string' && value !== '')
    return `'${value.replace(/[\\'"\n\r\t\b\f]/g, (character) => escapes[character] ?? character)}'`;
  if (typeof value === 'boolean' || (typeof value === 'number' && Number.isFinite(value))) return String(value);
  return undefined;
}

/**
 * Ids of the records with that value, two at most, and of those only the ones made since `madeSinceMs`, in whole seconds as Salesforce keeps them;
 * undefined where there is no value to look for.
 */
export function lookupQuery(object: string, field: string, value: unknown, madeSinceMs?: number): string | undefined {
  const literal = toLiteral(value);
  if (literal === undefined) return undefined;
  const since = madeSinceMs === undefined ? '' : ` AND CreatedDate >= ${new Date(madeSinceMs).toISOString().slice(0, 19)}Z`;
  return `SELECT Id FROM ${object} WHERE ${field} = ${literal}${since} LIMIT 2`;
}
