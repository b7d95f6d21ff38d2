/**
 * Integers of JSON that a double may not hold: from 2^53 on it has only some of them, and JSON.parse takes the nearest without a word. Found in
 * the text, before or after it is parsed; JSON that is none has to be refused by then.
 */

export interface LongInteger {
  readonly digits: string;
  /** Where it stands in the text, as long as it is written there. */
  readonly start: number;
  readonly end: number;
}

const longInteger = /^(-?\d{16,})(?:\.0+)?(?:[eE][+-]?0+)?$/;

/** Those of 16 digits or more, in order. */
export function findLongIntegers(json: string): LongInteger[] {
  const found: LongInteger[] = [];
  const token = /"|-?\d[\d.eE+-]*/g;
  for (let match = token.exec(json); match; match = token.exec(json)) {
    const [text] = match;
    if (text === '"') token.lastIndex = endOfText(json, token.lastIndex);
    else if (text.length >= 16) {
      const digits = longInteger.exec(text)?.[1];
      if (digits !== undefined) found.push({ digits, start: match.index, end: token.lastIndex });
    }
  }
  return found;
}

/** Behind the quote that ends the text: the next one before which stands an even number of backslashes. No expression: one needs room for each escape. */
function endOfText(json: string, from: number): number {
  for (let quote = json.indexOf('"', from); quote >= 0; quote = json.indexOf('"', quote + 1)) {
    let first = quote;
    while (json[first - 1] === '\\' && first > from) first--;
    if ((quote - first) % 2 === 0) return quote + 1;
  }
  return json.length;
}
