import { describe, expect, it } from 'vitest';
import { eventually } from '../../../test/support/eventually.ts';
import type { RotatedRefreshToken, Token } from './fleet-token.ts';
import { createTokenPublisher } from './token-publisher.ts';

const token: Token = { value: 'a1', version: 'v1', lifeMs: 60_000, marginMs: 1, instanceUrl: undefined };
const rotated: RotatedRefreshToken = { value: 'r1', before: '' };

/** A fleet's place for tokens that fails so often first; its clock is moved by every try. */
function place(failures: number) {
  const published: [Token, RotatedRefreshToken | undefined][] = [];
  const closing = new AbortController();
  let tries = 0;
  let nowMs = 0;
  const fleet = {
    async publish(...args: [Token, RotatedRefreshToken?]) {
      tries += 1;
      nowMs += 10;
      if (tries <= failures) throw new Error('Redis is away');
      published.push([args[0], args[1]]);
    },
  };
  const publisher = createTokenPublisher({ fleet, monotonicMs: () => nowMs, closing: closing.signal, closingMs: 25 });
  return { publisher, published, closing, tries: () => tries };
}

describe('a refresh token that came with an access token', () => {
  it('is tried again until it is stored, with what is left of the token’s life', async () => {
    const { publisher, published } = place(3);
    await publisher.publish(token, rotated);
    expect(published).toEqual([]);
    await publisher.pending();
    expect(published).toEqual([[{ ...token, lifeMs: 59_970 }, rotated]]);
    expect(publisher.pending()).toBeUndefined();
  });

  it('is tried for some time after closing, and no longer', async () => {
    const { publisher, closing, tries } = place(1_000);
    await publisher.publish(token, rotated);
    await eventually(() => tries() >= 2);
    const before = tries();
    closing.abort();
    await publisher.pending();
    expect(tries()).toBeGreaterThan(before);
    expect(publisher.pending()).toBeUndefined();
  });
});

it('an access token alone is tried once', async () => {
  const { publisher, published, tries } = place(1);
  await publisher.publish(token, undefined);
  expect(publisher.pending()).toBeUndefined();
  expect([tries(), published]).toEqual([1, []]);
});
