/**
 * API keys: read from the settings as hashes with scopes, and recognized. A presented key is hashed; its entry is found by the hash's
 * beginning and compared in constant time, so that neither the list nor the time tells anything about a key.
 */
import { hash, timingSafeEqual } from 'node:crypto';
import { StartProblem } from '../shared/domain/start-problem.ts';

export const scopes = ['ingest', 'read', 'admin'] as const;
export type Scope = (typeof scopes)[number];

/** Who makes a request. */
export interface Caller {
  readonly id: string;
  readonly scopes: ReadonlySet<Scope>;
  /** Where set, the caller acts as this tenant and sees nothing of others. */
  readonly tenant: string | undefined;
}

export interface ApiKey {
  readonly caller: Caller;
  readonly digest: Buffer;
}

/** Makes requests while no keys are set. */
export const anonymous: Caller = { id: 'anonymous', scopes: new Set(scopes), tenant: undefined };

export class ApiKeysError extends StartProblem {}

/** The text of `SLUICE_API_KEYS`: JSON, or the path of a file that holds it. Throws `ApiKeysError` with all that is wrong. */
export function parseApiKeys(text: string, readFile: (path: string) => string): ApiKey[] {
  const isInline = /^\s*\[/.test(text);
  const entries = parseJson(isInline ? text : readKeyFile(text, readFile));
  if (!Array.isArray(entries)) throw new ApiKeysError('SLUICE_API_KEYS: expected a JSON list of keys');
  const problems: string[] = [];
  const seen = new Set<string>();
  const keys = entries.flatMap((entry: unknown, index) => {
    const found = entryProblem(entry, seen);
    if (found) problems.push(`SLUICE_API_KEYS: entry ${index + 1}: ${found}`);
    return found ? [] : [toApiKey(entry as Entry)];
  });
  if (problems.length > 0) throw new ApiKeysError(problems.join('\n'));
  return keys;
}

function readKeyFile(path: string, readFile: (path: string) => string): string {
  try {
    return readFile(path.trim());
  } catch (cause) {
    throw new ApiKeysError('SLUICE_API_KEYS: expected a JSON list of keys, or the path of a file that can be read', { cause });
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // The parser's message quotes the text, which may hold what should not be logged.
    throw new ApiKeysError('SLUICE_API_KEYS: expected JSON');
  }
}

interface Entry {
  readonly id: string;
  readonly hash: string;
  readonly scopes: readonly Scope[];
  readonly tenant?: string;
}

const members = ['id', 'hash', 'scopes', 'tenant'];

function entryProblem(entry: unknown, seen: Set<string>): string | undefined {
  if (typeof entry !== 'object' || entry === null || Array.isArray(entry)) return 'expected an object';
  const { id, hash: digest, scopes: granted, tenant } = entry as Record<string, unknown>;
  const unknown = Object.keys(entry).find((name) => !members.includes(name));
  if (unknown !== undefined) return `expected only ${members.join(', ')}`;
  if (typeof id !== 'string' || !/^[A-Za-z0-9._-]{1,64}$/.test(id)) return 'id: expected 1 to 64 of A-Z a-z 0-9 . _ -';
  if (seen.has(id)) return `id: ${id} is there twice`;
  seen.add(id);
  if (typeof digest !== 'string' || !/^sha256:[0-9a-f]{64}$/i.test(digest))
    return `hash of ${id}: expected sha256: and 64 hexadecimal digits`;
  if (!Array.isArray(granted) || granted.length === 0 || !granted.every((scope) => scopes.includes(scope as Scope))) {
    return `scopes of ${id}: expected a list of ${scopes.join(', ')}`;
  }
  if (tenant !== undefined && (typeof tenant !== 'string' || tenant.length < 1 || tenant.length > 64))
    return `tenant of ${id}: expected 1 to 64 characters`;
  return undefined;
}

function toApiKey({ id, hash: digest, scopes: granted, tenant }: Entry): ApiKey {
  return { caller: { id, scopes: new Set(granted), tenant }, digest: Buffer.from(digest.slice('sha256:'.length), 'hex') };
}

export interface CredentialHeaders {
  readonly authorization: string | undefined;
  readonly apiKey: string | undefined;
}

export type Authenticate = (headers: CredentialHeaders) => Caller | undefined;

/** Recognizes the caller by `Authorization: Bearer <key>` or `X-Api-Key: <key>`. Everybody is `anonymous` where there are no keys. */
export function createAuthenticate(keys: readonly ApiKey[]): Authenticate {
  if (keys.length === 0) return () => anonymous;
  const byPrefix = new Map<number, ApiKey[]>();
  for (const key of keys) {
    const prefix = key.digest.readUInt32BE(0);
    byPrefix.set(prefix, [...(byPrefix.get(prefix) ?? []), key]);
  }
  return (headers) => {
    const presented = presentedKey(headers);
    if (presented === undefined) return undefined;
    const digest = Buffer.from(hash('sha256', presented, 'hex'), 'hex');
    const candidates = byPrefix.get(digest.readUInt32BE(0)) ?? [];
    return candidates.find((key) => timingSafeEqual(key.digest, digest))?.caller;
  };
}

function presentedKey({ authorization, apiKey }: CredentialHeaders): string | undefined {
  if (authorization !== undefined) return /^Bearer +([^\s]+) *$/i.exec(authorization)?.[1];
  return apiKey === '' ? undefined : apiKey;
}
