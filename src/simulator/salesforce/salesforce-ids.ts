/**
 * Ids of records and jobs: three characters for the type, twelve of a number in base 62, and three that make the id safe where case is
 * lost. Each of those three stands for five characters: bit n is set when the nth is a capital letter.
 */
const digits = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
const checks = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ012345';

/** Looks like an id of a production instance: its key in places 4 and 5, a reserved zero in the sixth. */
const instance = '5g0';
const counterLength = 9;

export type MakeId = (prefix: string) => string;

/** Gives ids of 18 characters that count up for all types together, the first after `idsFrom`. */
export function createIdMaker(idsFrom: number): MakeId {
  let next = idsFrom + 1;
  return (prefix) => {
    let rest = next;
    next += 1;
    let counter = '';
    for (let place = 0; place < counterLength; place += 1) {
      counter = digits[rest % 62] + counter;
      rest = Math.floor(rest / 62);
    }
    return withCheck(prefix + instance + counter);
  };
}

function withCheck(id15: string): string {
  let check = '';
  for (let chunk = 0; chunk < 15; chunk += 5) {
    let bits = 0;
    for (let place = 0; place < 5; place += 1) {
      const character = id15[chunk + place] as string;
      if (character >= 'A' && character <= 'Z') bits |= 1 << place;
    }
    check += checks[bits];
  }
  return id15 + check;
}

/** The id with its 18 characters, or undefined for what is none: another length, other characters, a check that does not fit. */
export function readId(text: string): string | undefined {
  if (!/^(?:[A-Za-z0-9]{15}|[A-Za-z0-9]{18})$/.test(text)) return undefined;
  const whole = withCheck(text.slice(0, 15));
  return text.length === 15 || text === whole ? whole : undefined;
}
