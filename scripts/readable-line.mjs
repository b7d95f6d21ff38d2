// @ts-check
/** A line of a service's log as a person reads it: level, message, cause, and in brackets what it is about. */

/** Of no use on a terminal, or said elsewhere in the line. */
const leftOut = new Set(['level', 'time', 'pid', 'hostname', 'name', 'msg', 'reason', 'retryable', 'entity']);
/** These come first, in this order; what else an entry holds follows. */
const firstFields = ['provider', 'tenant', 'record_id', 'operation_id', 'code', 'provider_status'];
const longestValue = 120;

/**
 * @param {string} line a JSON log entry, or anything else, which is left as it is
 * @returns {string}
 */
export function readableLine(line) {
  const entry = parse(line);
  if (typeof entry?.['msg'] !== 'string') return line;
  const level = entry['level'] === 'info' ? '' : `${entry['level'] ?? ''} `;
  const cause = causeOf(entry);
  const about = fieldsOf(entry).map(([name, value]) => `${name}=${short(value)}`);
  const text = `${level}${entry['msg']}${cause && cause !== entry['msg'] ? `: ${cause}` : ''}`.trimStart();
  return plain(`${text}${about.length > 0 ? ` (${about.join(' ')})` : ''}`);
}

/**
 * @param {string} line
 * @returns {Record<string, any> | undefined}
 */
function parse(line) {
  try {
    return JSON.parse(line) ?? undefined;
  } catch {
    return undefined;
  }
}

/** @param {Record<string, any>} entry */
function causeOf(entry) {
  return entry['err']?.message ?? entry['error']?.message ?? entry['reason'];
}

/**
 * @param {Record<string, any>} entry
 * @returns {[string, string | number | boolean][]}
 */
function fieldsOf(entry) {
  const place = (/** @type {string} */ name) => (firstFields.includes(name) ? firstFields.indexOf(name) : firstFields.length);
  return Object.entries(entry)
    .filter(([name, value]) => !leftOut.has(name) && ['string', 'number', 'boolean'].includes(typeof value))
    .filter(([name, value]) => !(name === 'tenant' && value === 'default'))
    .sort(([one], [other]) => place(one) - place(other));
}

/** @param {string | number | boolean} value */
function short(value) {
  const text = String(value);
  const cut = text.length > longestValue ? `${text.slice(0, longestValue)}…` : text;
  return /\s/.test(cut) ? JSON.stringify(cut) : cut;
}

/**
 * Record ids and answers come from outside: nothing in them may steer the reader's terminal.
 * @param {string} text
 */
function plain(text) {
  return text.replaceAll(/\p{Cc}+/gu, ' ');
}
