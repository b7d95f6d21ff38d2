/**
 * A whole Sluice for a test: Redis, one API, some workers, and a receiver in the test's own process that plays the providers.
 * `const sluice = await startService({ workers: 2 })` in the test, `await sluice.stop()` in its `finally` or `afterEach`.
 */
import { expect } from 'vitest';
import { eventually } from './eventually.ts';
import { type ServiceProcess, startApi, startWorker } from './processes.ts';
import { type Answering, type Receiver, startReceiver } from './receiver.ts';
import { type RedisOptions, type RedisServer, startRedis } from './redis.ts';
import type { Accepted, OperationBody } from './workload.ts';

export interface Reply {
  readonly status: number;
  readonly headers: Headers;
  // biome-ignore lint/suspicious/noExplicitAny: the shape of an answer is what the tests are about.
  readonly json: any;
}

export interface Fleet {
  readonly workers: readonly { id: string; pid: number; shards: readonly number[] }[];
  readonly shards: readonly { shard: number; owner: string | null; epoch: number }[];
}

export interface Service {
  readonly redis: RedisServer;
  readonly receiver: Receiver;
  readonly api: ServiceProcess;
  /** Those that were started, ended ones too. */
  readonly workers: readonly ServiceProcess[];
  addWorker(env?: Readonly<Record<string, string>>): Promise<ServiceProcess>;
  addApi(): Promise<ServiceProcess>;
  request(method: string, path: string, body?: unknown, headers?: Readonly<Record<string, string>>): Promise<Reply>;
  /** Registers a provider of the kind http at the receiver; a test says only what it is about. */
  register(provider: Readonly<Record<string, unknown>> & { name: string }): Promise<void>;
  /** Submits operations in arrays of `size`, and expects all to be accepted. */
  accept(operations: readonly OperationBody[], size?: number): Promise<Accepted[]>;
  /** The status page of each operation. */
  // biome-ignore lint/suspicious/noExplicitAny: as Reply.json
  statusesOf(operationIds: readonly string[]): Promise<Map<string, any>>;
  /** Waits until the provider has nothing queued, under way or waiting for a retry. */
  drained(provider: string, timeoutMs?: number): Promise<void>;
  fleet(): Promise<Fleet>;
  /** Calls the receiver has not answered yet. */
  inFlight(): number;
  stop(): Promise<void>;
}

export interface ServiceOptions {
  readonly workers?: number;
  /** Settings of every process. */
  readonly env?: Readonly<Record<string, string>>;
  readonly redis?: RedisOptions;
  /** Where the processes find Redis, when it is not the one server that `redis` describes. */
  readonly redisUrl?: string;
  readonly answer?: Answering;
}

export async function startService(options: ServiceOptions = {}): Promise<Service> {
  const redis = await startRedis(options.redis);
  const receiver = await startReceiver(options.answer === undefined ? {} : { answer: options.answer });
  const env = { SLUICE_SHARDS: '8', ...options.env };
  const redisUrl = options.redisUrl ?? redis.url;
  const processes: ServiceProcess[] = [];
  const workers: ServiceProcess[] = [];
  const stop = async () => {
    await Promise.all(processes.map((process) => process.kill9()));
    await Promise.all([receiver.close(), redis.stop()]);
  };
  const add = async (start: typeof startApi, more: Readonly<Record<string, string>> = {}) => {
    const process = await start({ redisUrl, env: { ...env, ...more } });
    processes.push(process);
    if (process.name === 'worker') workers.push(process);
    return process;
  };
  try {
    const [api] = await Promise.all([add(startApi), ...Array.from({ length: options.workers ?? 1 }, () => add(startWorker))]);
    return {
      ...createClient(api.url, receiver.url),
      redis,
      receiver,
      api,
      workers,
      addWorker: (more) => add(startWorker, more),
      addApi: () => add(startApi),
      inFlight: () => receiver.calls.filter(({ endedAtMs }) => endedAtMs === undefined).length,
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** One request to an API process; answers that are not JSON have `json` undefined. */
export async function requestApi(
  url: string,
  method: string,
  path: string,
  body?: unknown,
  headers: Readonly<Record<string, string>> = {},
): Promise<Reply> {
  const isRaw = typeof body === 'string' || body instanceof Uint8Array;
  const answer = await fetch(`${url}${path}`, {
    method,
    headers: { ...(body === undefined ? {} : { 'content-type': 'application/json' }), ...headers },
    ...(body === undefined ? {} : { body: isRaw ? (body as string) : JSON.stringify(body) }),
  });
  const text = await answer.text();
  const isJson = answer.headers.get('content-type')?.includes('json') === true;
  return { status: answer.status, headers: answer.headers, json: isJson && text !== '' ? JSON.parse(text) : undefined };
}

type Client = Pick<Service, 'request' | 'register' | 'accept' | 'statusesOf' | 'drained' | 'fleet'>;

const maxRequestsUnderWay = 32;

function createClient(url: string, receiverUrl: string): Client {
  const request: Service['request'] = (method, path, body, headers) => requestApi(url, method, path, body, headers);
  return {
    request,
    async register(provider) {
      const patient = { base_ms: 20, max_ms: 200, max_attempts: 20 };
      const calm = { failure_rate: 1, min_calls: 1_000_000, window_ms: 10_000, open_ms: 1_000 };
      const body = { kind: 'http', base_url: receiverUrl, retry: patient, breaker: calm, ...provider };
      const reply = await request('POST', '/providers', body);
      expect(reply, JSON.stringify(reply.json)).toMatchObject({ status: 201 });
    },
    async accept(operations, size = 100) {
      const accepted: Accepted[] = [];
      for (let at = 0; at < operations.length; at += size) {
        const chunk = operations.slice(at, at + size);
        const { status, json } = await request('POST', '/sync', chunk);
        expect({ status, accepted: json.accepted }, JSON.stringify(json).slice(0, 500)).toEqual({ status: 202, accepted: chunk.length });
        chunk.forEach((operation, i) => {
          accepted.push({ operation, operationId: json.results[i].operation_id });
        });
      }
      return accepted;
    },
    async statusesOf(operationIds) {
      const statuses = new Map();
      const left = [...operationIds];
      const readSome = async () => {
        for (let id = left.pop(); id !== undefined; id = left.pop()) {
          const { status, json } = await request('GET', `/sync/status/${id}`);
          expect(status, id).toBe(200);
          statuses.set(id, json);
        }
      };
      await Promise.all(Array.from({ length: maxRequestsUnderWay }, readSome));
      return statuses;
    },
    async drained(provider, timeoutMs = 60_000) {
      await eventually(
        async () => {
          const { json } = await request('GET', `/providers/${provider}/status`);
          if (json.backlog !== 0) throw new Error(`${json.backlog} operations are left: ${JSON.stringify(json)}`);
        },
        { timeoutMs, intervalMs: 50 },
      );
    },
    async fleet() {
      return (await request('GET', '/fleet')).json;
    },
  };
}

/** The value of a metric, all its label sets added up; 0 where there is none. `labels` as in `provider="crm"`. */
export async function readMetric(process: ServiceProcess, name: string, labels = ''): Promise<number> {
  const text = await (await fetch(`${process.url}/metrics`)).text();
  const lines = text.split('\n').filter((line) => (line.startsWith(`${name}{`) || line.startsWith(`${name} `)) && line.includes(labels));
  return lines.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' ') + 1)), 0);
}
