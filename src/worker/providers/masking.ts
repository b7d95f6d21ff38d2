/** Takes our own credentials out of what a provider answers, in the spellings in which they are likely to come back. */
import { maskedSecret } from '../../shared/providers/wire.ts';

export interface Mask {
  /** `isWhole` false: the text was cut, and what may be the beginning of a secret at its end goes too. */
  apply(text: string, isWhole: boolean): string;
  /** It is a secret, or one is in it of which no text holds so much by chance. */
  isTold(text: string): boolean;
}

/** A single letter is part of every word: masking it would hide nothing, and garble the names and values of every answer. */
const minSecretLength = 2;
/** Ids are made up of such characters as secrets are: half of them may hold a secret of two. */
const minToldLength = 16;
/** An id that is nothing but a secret is an echo, unless that is as short as a number of a record may be. */
const minEchoLength = 6;

export function createMask(secrets: readonly string[]): Mask {
  const spellings = [...new Set(secrets.filter(({ length }) => length >= minSecretLength).flatMap(spellingsOf))];
  // The longest first: one may hold another.
  spellings.sort((a, b) => b.length - a.length);
  const tail = Math.max(0, (spellings[0]?.length ?? 0) - 1);
  const telling = spellings.filter(({ length }) => length >= minToldLength);
  const echoes = new Set(spellings.filter(({ length }) => length >= minEchoLength));
  return {
    isTold: (text) => telling.some((spelling) => text.includes(spelling)) || echoes.has(text.replace(/^(?:bearer|basic) /i, '')),
    apply(text, isWhole) {
      let masked = text;
      for (const spelling of spellings) if (masked.includes(spelling)) masked = masked.replaceAll(spelling, maskedSecret);
      return isWhole || tail === 0 ? masked : masked.slice(0, -tail);
    },
  };
}

/** Told apart by search, not by a pattern with every escape of every character: a secret and an answer made for it kept one busy for ten seconds. */
function spellingsOf(secret: string): string[] {
  const json = JSON.stringify(secret).slice(1, -1);
  const encoded = [
    json.replaceAll('/', '\\/'),
    // As Go and Gson write it, and with nothing but ASCII.
    json.replace(/[<>&]/g, unicodeEscape),
    json.replace(/[<>&=']/g, unicodeEscape),
    json.replace(/[^\x20-\x7e]/g, unicodeEscape),
    // As PHP and .NET write it.
    json.replaceAll('/', '\\/').replace(/[^\x20-\x7e]/g, unicodeEscape),
    json.replace(/[<>&'+`]|[^\x20-\x7e]/g, unicodeEscape),
    encodeURIComponent(secret),
    new URLSearchParams({ v: secret }).toString().slice(2),
  ];
  const inCapitals = encoded.map((text) => text.replace(hexDigits, (digits) => digits.toUpperCase()));
  const inSmallLetters = encoded.map((text) => text.replace(hexDigits, (digits) => digits.toLowerCase()));
  return [
    secret,
    json,
    ...inCapitals,
    ...inSmallLetters,
    ...apostrophes.flatMap((apostrophe) => quotes.map((quote) => toHtml(secret, apostrophe, quote))),
  ];
}

const hexDigits = /(?<=\\u)[0-9a-f]{4}|(?<=%)[0-9a-f]{2}/gi;
const apostrophes = ["'", '&#39;', '&#x27;', '&apos;'];
const quotes = ['&quot;', '&#34;'];

function unicodeEscape(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
}

function toHtml(text: string, apostrophe: string, quote: string): string {
  const marked = text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', quote);
  return marked.replaceAll("'", apostrophe);
}
