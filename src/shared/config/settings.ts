/**
 * The table of every setting: its name in the environment, default, shape, meaning, and which process reads it. It is the one source
 * for parsing, for the masked summary in the start log and for docs/configuration.md (a test compares them).
 *
 * An unknown `SLUICE_` name is refused, because a misspelt setting that is silently ignored is found out in production. All problems
 * are listed at once. An empty value counts as not set, as compose files and charts write `NAME=` for "nothing".
 */
import { maskRedisAddress } from '../domain/redis-address.ts';
import { StartProblem } from '../domain/start-problem.ts';
import { base64Bytes, boolean, integer, oneOf, type Parser, redisUrl, textLike, Unparsable } from './parsers.ts';

export interface Setting<T> {
  readonly name: string;
  /** As it would be written in the environment; undefined where there is none. */
  readonly defaultText: string | undefined;
  readonly parser: Parser<Exclude<T, undefined>>;
  readonly meaning: string;
  readonly readBy: 'api' | 'worker' | 'both';
  /** Never logged. */
  readonly isSecret: boolean;
}

type Details = { readonly meaning: string; readonly readBy: 'api' | 'worker' | 'both'; readonly isSecret?: boolean };

function required<T>(name: string, defaultText: string, parser: Parser<T>, details: Details): Setting<T> {
  return { name, defaultText, parser: parser as Parser<Exclude<T, undefined>>, isSecret: false, ...details };
}

function optional<T>(name: string, parser: Parser<T>, details: Details): Setting<T | undefined> {
  return { name, defaultText: undefined, parser: parser as Parser<Exclude<T, undefined>>, isSecret: false, ...details };
}

const second = 1_000;
const hour = 3_600 * second;
const day = 24 * hour;
const maxCount = 1_000_000_000;

const hostName = textLike(/^[A-Za-z0-9.:_-]+$/, 'a host name or an address');

/** Every setting there is, by the name the code uses. */
export const settingTable = {
  redisUrl: required('REDIS_URL', 'redis://127.0.0.1:6379', redisUrl, {
    meaning: 'Where Redis is. A comma-separated list, or `redis+cluster://`, means Redis Cluster; `rediss://` means TLS.',
    readBy: 'both',
    isSecret: true,
  }),
  host: required('HOST', '127.0.0.1', hostName, { meaning: 'The address to listen on; `0.0.0.0` in a container.', readBy: 'both' }),
  port: required('PORT', '8080', integer(0, 65_535), { meaning: 'The API’s port; 0 takes a free one.', readBy: 'api' }),
  metricsPort: required('METRICS_PORT', '9091', integer(0, 65_535), {
    meaning: 'The port of a worker’s health and metrics; 0 takes a free one.',
    readBy: 'worker',
  }),
  logLevel: required('LOG_LEVEL', 'info', oneOf(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent']), {
    meaning: 'The least severe log line that is written: `trace`, `debug`, `info`, `warn`, `error`, `fatal` or `silent`.',
    readBy: 'both',
  }),
  shards: required('SLUICE_SHARDS', '16', integer(1, 1_024), {
    meaning: 'Number of shards; fixed for the life of a deployment, checked at start.',
    readBy: 'both',
  }),
  keyPrefix: optional('SLUICE_KEY_PREFIX', textLike(/^[A-Za-z0-9:_.-]{1,64}$/, '1 to 64 of A-Z a-z 0-9 : _ . -'), {
    meaning: 'Put before every key and channel, so that several deployments can share one Redis.',
    readBy: 'both',
  }),
  apiKeys: optional('SLUICE_API_KEYS', textLike(/\S/, 'a JSON list of keys, or the path of a file that holds one'), {
    meaning: 'JSON, or the path of a JSON file: hashed keys with their scopes. `npm run key` prints an entry. None: requests need no key.',
    readBy: 'api',
    isSecret: true,
  }),
  allowAnonymous: required('SLUICE_ALLOW_ANONYMOUS', 'false', boolean, {
    meaning: 'Let the API listen on an address that is not loopback although no keys are set.',
    readBy: 'api',
  }),
  encryptionKey: optional('SLUICE_ENCRYPTION_KEY', base64Bytes(32), {
    meaning: '32 bytes as base64; seals provider credentials at rest. Without it, credentials are refused.',
    readBy: 'both',
    isSecret: true,
  }),
  allowPrivateNetworks: required('SLUICE_ALLOW_PRIVATE_NETWORKS', 'false', boolean, {
    meaning: 'Let a provider’s `base_url` point at loopback or a private network.',
    readBy: 'both',
  }),
  leaseTtlMs: required('SLUICE_LEASE_TTL_MS', '10000', integer(500, 10 * 60 * second), {
    meaning: 'How long a dead worker’s shards wait for their next owner. Milliseconds.',
    readBy: 'worker',
  }),
  drainMs: required('SLUICE_DRAIN_MS', '25000', integer(0, 10 * 60 * second), {
    meaning: 'How long SIGTERM waits for calls and requests in flight. Milliseconds.',
    readBy: 'both',
  }),
  maxBacklog: required('SLUICE_MAX_BACKLOG', '1000000', integer(1, maxCount), {
    meaning: 'Queued operations a provider may hold before new ones get 429.',
    readBy: 'api',
  }),
  maxDeadLetters: required('SLUICE_MAX_DEAD_LETTERS', '100000', integer(1, maxCount), {
    meaning: 'Dead letters a provider may hold before new operations get 429.',
    readBy: 'api',
  }),
  maxFutureSkewMs: required('SLUICE_MAX_FUTURE_SKEW_MS', '300000', integer(0, 365 * day), {
    meaning: 'How far ahead of Redis’s clock a change may be dated. Milliseconds.',
    readBy: 'api',
  }),
  requestsPerSecond: required('SLUICE_REQUESTS_PER_SECOND', '0', integer(0, 1_000_000), {
    meaning: 'Requests an API key may make a second, over all API processes; 0 sets no limit.',
    readBy: 'api',
  }),
  statusTtlMs: required('SLUICE_STATUS_TTL_MS', '3600000', integer(60 * second, 30 * day), {
    meaning: 'How long the status of a finished operation is kept. Milliseconds.',
    readBy: 'both',
  }),
  idempotencyTtlMs: required('SLUICE_IDEMPOTENCY_TTL_MS', '86400000', integer(60 * second, 30 * day), {
    meaning: 'How long an idempotency key is remembered. Milliseconds.',
    readBy: 'api',
  }),
  historyEntries: required('SLUICE_HISTORY_ENTRIES', '1000', integer(0, 10_000_000), {
    meaning: 'Finished entries kept in each queue of each shard, at most.',
    readBy: 'worker',
  }),
  historyBytes: required('SLUICE_HISTORY_BYTES', '1048576', integer(0, 1_073_741_824), {
    meaning: 'Finished entries kept in each queue of each shard, at most so many bytes.',
    readBy: 'worker',
  }),
  window: required('SLUICE_WINDOW', '512', integer(1, 100_000), {
    meaning: 'Entries of one queue and shard that a worker may hold unfinished, at most.',
    readBy: 'worker',
  }),
  windowBytes: required('SLUICE_WINDOW_BYTES', '67108864', integer(1_048_576, 17_179_869_184), {
    meaning: 'Bytes of unfinished entries that one worker may hold, at most.',
    readBy: 'worker',
  }),
} as const;

export type SettingName = keyof typeof settingTable;
export type Settings = { readonly [K in SettingName]: (typeof settingTable)[K] extends Setting<infer T> ? T : never };

/** Says every problem of an environment at once, a line each; holds no value of a secret. */
export class SettingsError extends StartProblem {
  readonly problems: readonly string[];
  constructor(problems: readonly string[]) {
    super(`the settings cannot be used:\n${problems.map((problem) => `  ${problem}`).join('\n')}`);
    this.name = 'SettingsError';
    this.problems = problems;
  }
}

type Environment = Readonly<Record<string, string | undefined>>;

/** The settings of an environment, defaults filled in, frozen. Throws `SettingsError`. */
export function parseSettings(env: Environment): Settings {
  const problems = unknownNames(env);
  const values: Record<string, unknown> = {};
  for (const [key, setting] of Object.entries(settingTable)) {
    const given = env[setting.name]?.trim();
    const text = given === undefined || given === '' ? setting.defaultText : given;
    try {
      values[key] = text === undefined ? undefined : setting.parser.parse(text);
    } catch (error) {
      if (!(error instanceof Unparsable)) throw error;
      problems.push(`${setting.name}: expected ${setting.parser.expected}${setting.isSecret ? '' : `, got ${quoted(text)}`}`);
    }
  }
  if (problems.length > 0) throw new SettingsError(problems);
  return Object.freeze(values) as Settings;
}

function quoted(text: string | undefined): string {
  return JSON.stringify(text === undefined || text.length <= 60 ? text : `${text.slice(0, 60)}…`);
}

/** Kubernetes puts such names into every container for each service of a namespace: they are not ours to refuse. */
const serviceLink = /^SLUICE_(?:.*_)?(?:SERVICE_HOST|SERVICE_PORT(?:_[A-Z0-9_]+)?|PORT_[0-9]+_(?:TCP|UDP|SCTP)(?:_(?:PROTO|PORT|ADDR))?)$/;

function isServiceLink(name: string, value: string): boolean {
  return serviceLink.test(name) || (name.endsWith('_PORT') && /^(tcp|udp|sctp):\/\//.test(value));
}

function unknownNames(env: Environment): string[] {
  const known = new Set<string>(Object.values(settingTable).map((setting) => setting.name));
  return Object.keys(env)
    .filter((name) => name.startsWith('SLUICE_') && !known.has(name) && !isServiceLink(name, env[name] ?? ''))
    .sort()
    .map((name) => {
      const nearest = nearestName(name, known);
      return `${name}: expected a known setting${nearest ? ` (${nearest}?)` : '; docs/configuration.md lists them'}`;
    });
}

/** The known name that differs by a slip or two. */
function nearestName(name: string, known: ReadonlySet<string>): string | undefined {
  let best: { name: string; distance: number } | undefined;
  for (const candidate of known) {
    const distance = editDistance(name, candidate);
    if (distance <= 3 && distance < (best?.distance ?? Number.POSITIVE_INFINITY)) best = { name: candidate, distance };
  }
  return best?.name;
}

function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i += 1) {
    const next = [i];
    for (let j = 1; j <= b.length; j += 1) {
      const swap = (row[j - 1] as number) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(swap, (row[j] as number) + 1, (next[j - 1] as number) + 1));
    }
    row = next;
  }
  return row[b.length] as number;
}

/** The settings by their names in the environment, for the start log: secrets show only whether they are set. */
export function summarizeSettings(settings: Settings): Record<string, unknown> {
  const summary: Record<string, unknown> = {};
  for (const [key, setting] of Object.entries(settingTable)) {
    const value = settings[key as SettingName];
    if (value === undefined) continue;
    summary[setting.name] = setting.isSecret ? maskedSecret(key, value) : value;
  }
  return summary;
}

function maskedSecret(key: string, value: unknown): string {
  return key === 'redisUrl' ? maskRedisAddress(String(value)) : '***';
}
