/** Salesforce's forms of a point in time. All in epoch milliseconds here. */

/** Such as `2013-05-20T20:49:32.000+0000`: no colon in the offset. */
export function toDateTime(atMs: number): string {
  return new Date(atMs).toISOString().replace('Z', '+0000');
}

const dateTime = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(?:\.\d{1,9})?(?:Z|[+-]\d{2}:?\d{2})$/;
const date = /^\d{4}-\d{2}-\d{2}$/;

/** A date with time and offset, or a date alone; undefined for anything else. */
export function readDateTime(text: string): number | undefined {
  if (date.test(text)) return orUndefined(Date.parse(`${text}T00:00:00Z`));
  if (!dateTime.test(text)) return undefined;
  // The language's own form has a colon in the offset.
  return orUndefined(Date.parse(text.replace(/([+-]\d{2})(\d{2})$/, '$1:$2')));
}

/** An HTTP date, such as `Tue, 20 May 2013 20:49:32 GMT`; undefined for anything else. */
export function readHttpDate(text: string): number | undefined {
  return /^[A-Z][a-z]{2}, \d{2} [A-Z][a-z]{2} \d{4} \d{2}:\d{2}:\d{2} \w+$/.test(text.trim()) ? orUndefined(Date.parse(text)) : undefined;
}

function orUndefined(atMs: number): number | undefined {
  return Number.isNaN(atMs) ? undefined : atMs;
}
