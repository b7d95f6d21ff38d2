/** What may stand between two slashes of a path. */

const plainSegment = /^[A-Za-z0-9_~-][A-Za-z0-9_.~-]*$/;

/**
 * Percent-encoded; undefined for what no encoding makes safe: nothing at all, `.` and `..`, which name directories in any spelling, and half a
 * surrogate pair, which has no UTF-8.
 */
export function encodeSegment(text: string): string | undefined {
  if (plainSegment.test(text)) return text;
  if (text === '' || text === '.' || text === '..') return undefined;
  try {
    return encodeURIComponent(text);
  } catch {
    return undefined;
  }
}
