/**
 * What is left of an account's credentials when it is removed: the tokens that the fleet got with them, sealed. They lie in another slot
 * than the configurations, so they go right after those, each place in one step; were the process killed between the two, what stays is
 * sealed, and used by nobody unless the same refresh token is configured again.
 *
 * A worker may be fetching a token at that very moment. What it then publishes is refused: the right to do so is taken away with the
 * tokens, and a mark lies where the refresh token was (fleet-token.ts takes it for none, and for another than what was there).
 */
import { queueName } from '../domain/operation.ts';
import type { RedisClient } from '../redis/connection.ts';
import type { Keys } from '../redis/keys.ts';
import { defineScript, unexpectedReply } from '../redis/script.ts';
import { type AuthWire, toAuth } from './auth-wire.ts';
import type { Credentials } from './credentials.ts';
import forgetSource from './forget-token.lua';
import { parseField } from './provider-field.ts';
import { type ProviderRecords, parseStored } from './provider-records.ts';
import { tokenPlaceOf } from './token-place.ts';

const forgetToken = defineScript('forget-token', forgetSource);

/** A fleet follows a change within a second. Credentials that are registered again at once wait so long for their first token. */
const holdMs = 2_000;
/** Fetching and publishing take half a minute at most. */
const markMs = 300_000;

/** Ways to authenticate that need no token. */
const fixedTypes: ReadonlySet<AuthWire['type']> = new Set(['none', 'bearer', 'api_key', 'basic']);

type Texts = ReadonlyMap<string, string>;

export interface RemovedTokensDeps {
  readonly redis: RedisClient;
  readonly keys: Keys;
  readonly records: Pick<ProviderRecords, 'readAll'>;
  readonly credentials: Credentials;
}

/** Forgets the tokens of fields that were removed from the hash of configurations, all but those that others use as well. */
export function createRemovedTokens({ redis, keys, records, credentials }: RemovedTokensDeps) {
  async function forget(place: string): Promise<void> {
    const places = [keys.token(place), keys.tokenLock(place), keys.refreshToken(place)];
    const reply = await forgetToken.run(redis, places, [holdMs, markMs]);
    if (!Array.isArray(reply) || reply[0] !== 'forgotten') throw unexpectedReply(forgetToken.name, reply);
  }

  function placesOf(field: string, texts: Texts): string[] {
    const { name, tenant } = parseField(field) ?? {};
    if (name === undefined) return [];
    const account = tenant === undefined ? name : queueName(name, tenant);
    const auth = readAuth(field, texts) ?? readAuth(name, texts);
    if (auth?.type === 'oauth2_refresh_token') return [tokenPlaceOf(account, toAuth(auth))];
    // What cannot be read may be what has a token there.
    return auth && fixedTypes.has(auth.type) ? [] : [account];
  }

  /** Undefined where there is none, or none that can be read. */
  function readAuth(field: string, texts: Texts): AuthWire | undefined {
    const sealed = parseStored<{ readonly auth_config?: AuthWire }>(texts.get(field) ?? '')?.provider.auth_config;
    const auth = sealed && credentials.open(sealed, field);
    return typeof auth === 'string' ? undefined : auth;
  }

  return async function forgetTokensOf(removed: Texts): Promise<void> {
    const { texts: kept } = await records.readAll();
    const used = new Set([...kept.keys()].flatMap((field) => placesOf(field, kept)));
    const all = new Map([...kept, ...removed]);
    const places = new Set([...removed.keys()].flatMap((field) => placesOf(field, all)));
    await Promise.all([...places].filter((place) => !used.has(place)).map(forget));
  };
}
