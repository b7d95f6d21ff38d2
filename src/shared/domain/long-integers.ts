/**
 * Integers of JSON that a double may not hold: from 2^53 on it has only some of them, and JSON.parse takes the nearest without a word. Found in
 * the text, before or after it is parsed; JSON that is none has to be refused by then.
 */

/** Texts, which are passed over, and numbers. */
export const textsAndNumbers = /"[^"\\]*(?:\\.[^"\\]*)*"|-?\d[\d.eE+-]*/g;

const longInteger = /^(-?\d{16,})(?:\.0+)?(?:[eE][+-]?0+)?$/;

/** The digits of such a token, if it is an integer of 16 digits or more. */
export function longIntegerOf(token: string): string | undefined {
  return token.length < 16 ? undefined : longInteger.exec(token)?.[1];
}
