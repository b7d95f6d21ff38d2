/** Small parsers for settings: each says in words what it expects, and throws nothing but `Unparsable`. */
import { parseRedisAddress, redisAddressForms } from '../domain/redis-address.ts';

export interface Parser<T> {
  /** Completes "expected ...". */
  readonly expected: string;
  /** Throws `Unparsable` where the text is not what is expected. */
  parse(text: string): T;
}

export class Unparsable extends Error {}

export function integer(min: number, max: number): Parser<number> {
  const expected = `a whole number from ${min} to ${max}`;
  return {
    expected,
    parse(text) {
      const value = /^(0|[1-9][0-9]{0,15})$/.test(text) ? Number(text) : Number.NaN;
      if (!(value >= min && value <= max)) throw new Unparsable(expected);
      return value;
    },
  };
}

const truthByWord: Readonly<Record<string, boolean>> = {
  true: true,
  false: false,
  '1': true,
  '0': false,
  yes: true,
  no: false,
  on: true,
  off: false,
};

export const boolean: Parser<boolean> = {
  expected: 'true or false',
  parse(text) {
    const word = text.toLowerCase();
    const value = Object.hasOwn(truthByWord, word) ? truthByWord[word] : undefined;
    if (value === undefined) throw new Unparsable(boolean.expected);
    return value;
  },
};

export function oneOf<const W extends string>(words: readonly W[]): Parser<W> {
  const expected = `one of ${words.join(', ')}`;
  return {
    expected,
    parse(text) {
      const word = words.find((candidate) => candidate === text.toLowerCase());
      if (word === undefined) throw new Unparsable(expected);
      return word;
    },
  };
}

/** Text of a shape; the caller says the shape in words. */
export function textLike(shape: RegExp, expected: string): Parser<string> {
  return {
    expected,
    parse(text) {
      if (!shape.test(text)) throw new Unparsable(expected);
      return text;
    },
  };
}

/** So many bytes, written as base64 or base64url. */
export function base64Bytes(count: number): Parser<Buffer> {
  const expected = `${count} bytes as base64 (openssl rand -base64 ${count})`;
  return {
    expected,
    parse(text) {
      const bytes = /^[A-Za-z0-9+/_-]+={0,2}$/.test(text) ? Buffer.from(text, 'base64') : undefined;
      if (bytes?.length !== count) throw new Unparsable(expected);
      return bytes;
    },
  };
}

/** Where Redis is, as it was written. */
export const redisUrl: Parser<string> = {
  expected: redisAddressForms,
  parse(text) {
    if (!parseRedisAddress(text)) throw new Unparsable(redisAddressForms);
    return text;
  },
};
