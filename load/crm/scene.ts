/** What the CRM figures run on: the simulated CRMs, Redis, one API and some workers, asked as a client asks them. */
import { randomBytes } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { Pool } from 'undici';
import { startFeeder } from '../calls-trial.ts';
import type { Program } from '../program.ts';
import type { Crm, CrmSimulatorsCommands } from '../programs/crm-simulators.ts';
import { onStage } from '../stage.ts';

const requestSize = 500;
const connections = 32;
const finalTimeoutMs = 900_000;

export interface Operation {
  readonly operation: 'create' | 'update' | 'upsert';
  readonly recordId: string;
  readonly data: Readonly<Record<string, unknown>>;
}

export interface Status {
  readonly status: string;
  readonly attempts: number | undefined;
  readonly providerRecordId: string | undefined;
  readonly error: string | undefined;
}

export interface CrmScene {
  readonly simulators: Program<CrmSimulatorsCommands>;
  /** Registers the CRM under its own name; `more` are fields of the body besides, or others. */
  register(crm: Crm, more?: Readonly<Record<string, unknown>>): Promise<void>;
  /** Operation ids, in order. */
  submit(crm: Crm, operations: readonly Operation[]): Promise<string[]>;
  pause(crm: Crm): Promise<void>;
  resume(crm: Crm): Promise<void>;
  /** Waits until everything is final. False after a quarter of an hour. */
  finished(crm: Crm): Promise<boolean>;
  /** In the order of the ids; one that is not known any more has the status `lost`. */
  statuses(ids: readonly string[]): Promise<Status[]>;
}

export function onCrmScene<T>(workers: number, act: (scene: CrmScene) => Promise<T>): Promise<T> {
  return onStage(async (stage) => {
    const simulators = stage.program<CrmSimulatorsCommands>('crm-simulators');
    const url = `http://127.0.0.1:${await simulators.ask('listen')}`;
    const redis = await stage.redis();
    const feeder = await startFeeder(stage, redis);
    const settings = { SLUICE_ENCRYPTION_KEY: randomBytes(32).toString('base64') };
    const starting = Array.from({ length: workers }, () => stage.worker(redis, { settings }));
    const [api] = await Promise.all([stage.api(redis, settings), ...starting]);
    const ask = createAsk(new Pool(`http://127.0.0.1:${api.port}`, { connections }));
    return await act({
      simulators,
      register: (crm, more) => expectStatus(201, ask('POST', '/providers', { ...bodyOf(crm, url), ...more })),
      submit: (crm, operations) => submit(ask, crm, operations),
      pause: (crm) => expectStatus(200, ask('POST', `/providers/${crm}/pause`)),
      resume: (crm) => expectStatus(200, ask('POST', `/providers/${crm}/resume`)),
      finished: (crm) => Promise.race([feeder.ask('finished', crm).then(() => true), delay(finalTimeoutMs, false, { ref: false })]),
      statuses: (ids) => readStatuses(ask, ids),
    });
  });
}

/** So high that no limit is what is measured. */
const noLimit = [{ requests: 1_000_000, per: '10s', burst: 1_000_000 }];

function bodyOf(crm: Crm, url: string): Record<string, unknown> {
  const base = { name: crm, base_url: `${url}/${crm}`, limits: noLimit };
  const client = { client_id: 'bench', client_secret: 'bench-secret' };
  if (crm === 'hubspot') return { ...base, auth_config: { type: 'bearer', token: 'pat-x' } };
  if (crm === 'salesforce') {
    const tokenUrl = `${url}/salesforce/services/oauth2/token`;
    return { ...base, auth_config: { type: 'oauth2_client_credentials', token_url: tokenUrl, ...client } };
  }
  const tokenUrl = `${url}/outreach/oauth/token`;
  return { ...base, auth_config: { type: 'oauth2_refresh_token', token_url: tokenUrl, refresh_token: 'bench-first', ...client } };
}

interface Answer {
  readonly code: number;
  // biome-ignore lint/suspicious/noExplicitAny: each route's answer has a shape of its own.
  readonly json: any;
}

type Ask = (method: 'GET' | 'POST', path: string, body?: unknown) => Promise<Answer>;

function createAsk(api: Pool): Ask {
  return async (method, path, body) => {
    const content = body === undefined ? {} : { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) };
    const answer = await api.request({ method, path, ...content });
    return { code: answer.statusCode, json: await answer.body.json() };
  };
}

async function expectStatus(expected: number, asked: Promise<Answer>): Promise<void> {
  const { code, json } = await asked;
  if (code !== expected) throw new Error(`expected ${expected}, got ${code}: ${JSON.stringify(json)}`);
}

async function submit(ask: Ask, crm: Crm, operations: readonly Operation[]): Promise<string[]> {
  const ids: string[] = [];
  for (let at = 0; at < operations.length; at += requestSize) {
    const timestamp = Date.now();
    const body = operations
      .slice(at, at + requestSize)
      .map(({ operation, recordId, data }) => ({ operation, provider: crm, record_id: recordId, timestamp, data }));
    const { code, json } = await ask('POST', '/sync', body);
    if (code !== 202 || json.accepted !== body.length) throw new Error(`POST /sync: ${code} ${JSON.stringify(json).slice(0, 500)}`);
    for (const { operation_id } of json.results) ids.push(operation_id);
  }
  return ids;
}

async function readStatuses(ask: Ask, ids: readonly string[]): Promise<Status[]> {
  const statuses: Status[] = [];
  const left = ids.entries();
  const read = async () => {
    for (const [index, id] of left) {
      const { code, json } = await ask('GET', `/sync/status/${id}`);
      const status = code === 200 ? json.status : 'lost';
      statuses[index] = { status, attempts: json.attempts, providerRecordId: json.provider_record_id, error: json.error?.code };
    }
  };
  await Promise.all(Array.from({ length: connections }, read));
  return statuses;
}

export function countBy<T>(items: readonly T[], nameOf: (item: T) => string): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const item of items) counts[nameOf(item)] = (counts[nameOf(item)] ?? 0) + 1;
  return counts;
}
