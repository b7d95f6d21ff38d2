/** An API in the test's own process, on a free port, with a key prefix of its own; and a client for it. */
import { type Api, startApi } from '../../src/api/api.ts';
import { type ApiKey, parseApiKeys } from '../../src/api/api-keys.ts';
import { parseSettings } from '../../src/shared/config/settings.ts';
import { createLogger } from '../../src/shared/telemetry/logger.ts';

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  // biome-ignore lint/suspicious/noExplicitAny: tests say what they expect of it
  readonly body: any;
  readonly text: string;
}

export interface TestApi {
  readonly api: Api;
  readonly url: string;
  /** Lines of its log, parsed. */
  readonly log: Record<string, unknown>[];
  /** `body` is sent as JSON, a string as it is. */
  ask(method: string, path: string, body?: unknown, headers?: Record<string, string>): Promise<Answer>;
}

/** Settings with which it takes credentials. */
export const encryption = { SLUICE_ENCRYPTION_KEY: Buffer.alloc(32, 1).toString('base64') };

let prefixes = 0;

export async function startTestApi(redisUrl: string, env: Record<string, string> = {}): Promise<TestApi> {
  prefixes += 1;
  const settings = parseSettings({
    REDIS_URL: redisUrl,
    PORT: '0',
    SLUICE_SHARDS: '4',
    SLUICE_KEY_PREFIX: `api-${process.pid}-${prefixes}:`,
    SLUICE_ALLOW_PRIVATE_NETWORKS: 'true',
    SLUICE_DRAIN_MS: '2000',
    ...env,
  });
  const log: Record<string, unknown>[] = [];
  const logger = createLogger({ level: 'debug', name: 'api', destination: { write: (line: string) => void log.push(JSON.parse(line)) } });
  const keys: ApiKey[] = settings.apiKeys === undefined ? [] : parseApiKeys(settings.apiKeys, () => '');
  const api = await startApi(settings, keys, logger);
  const url = `http://127.0.0.1:${api.port}`;
  return { api, url, log, ask: (method, path, body, headers) => ask(`${url}${path}`, method, body, headers) };
}

async function ask(url: string, method: string, body?: unknown, headers: Record<string, string> = {}): Promise<Answer> {
  const sent = body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) };
  const type: Record<string, string> = body === undefined ? {} : { 'content-type': 'application/json' };
  const response = await fetch(url, { method, headers: { ...type, ...headers }, ...sent });
  const text = await response.text();
  const isJson = /json/.test(response.headers.get('content-type') ?? '');
  return { status: response.status, headers: response.headers, text, body: isJson && text !== '' ? JSON.parse(text) : undefined };
}
