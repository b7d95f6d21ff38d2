/** Timestamps as callers write them: RFC 3339 with an offset, or epoch milliseconds. */

/** The last millisecond of the year 9999, the last that RFC 3339 can say. */
export const maxTimestampMs = 253_402_300_799_999;

const rfc3339 = /^(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d):(\d\d)(?:\.(\d{1,30}))?(?:[Zz]|([+-])(\d\d):(\d\d))$/;
const daysInMonth = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

/** Epoch milliseconds, fractions of them cut off; undefined where the value is no timestamp from 1970 to 9999. */
export function parseTimestamp(value: unknown): number | undefined {
  const ms = typeof value === 'number' ? value : typeof value === 'string' ? parseRfc3339(value) : undefined;
  if (ms === undefined || !Number.isInteger(ms) || ms < 0 || ms > maxTimestampMs) return undefined;
  return ms;
}

function parseRfc3339(text: string): number | undefined {
  const parts = rfc3339.exec(text);
  if (!parts) return undefined;
  const [, year, month, day, hour, minute, second, fraction, sign, offsetHours, offsetMinutes] = parts;
  if (!isDay(Number(year), Number(month), Number(day))) return undefined;
  // A leap second (60) counts as the first of the next minute, as in POSIX time.
  if (Number(hour) > 23 || Number(minute) > 59 || Number(second) > 60) return undefined;
  if (Number(offsetHours ?? 0) > 23 || Number(offsetMinutes ?? 0) > 59) return undefined;
  const millisecond = fraction === undefined ? 0 : Number(fraction.padEnd(3, '0').slice(0, 3));
  const local = Date.UTC(Number(year), Number(month) - 1, Number(day), Number(hour), Number(minute), Number(second), millisecond);
  const offsetMs = (Number(offsetHours ?? 0) * 60 + Number(offsetMinutes ?? 0)) * 60_000;
  // Date.UTC takes years below 100 for 19xx.
  return Number(year) < 100 ? undefined : sign === '-' ? local + offsetMs : local - offsetMs;
}

function isDay(year: number, month: number, day: number): boolean {
  if (day < 1 || day > (daysInMonth[month - 1] ?? 0)) return false;
  const isLeapYear = (year % 4 === 0 && year % 100 !== 0) || year % 400 === 0;
  return month !== 2 || day <= (isLeapYear ? 29 : 28);
}
