/**
 * The kill run (`node scripts/bench.mjs --kill-run`): 100,000 changes of 5,000 records stream in through the API, three workers deliver them,
 * and every two seconds one of them is killed (-9) and replaced. It passes when every operation is final as foretold, every record is
 * right at the provider, no call came dated before an earlier one of its record or beside one under way, and nothing was given up.
 * Calls that were repeated are counted: they are the price of delivery at least once.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Pool } from 'undici';
import { startFeeder } from './calls-trial.ts';
import { type Change, createRandom, foretell, isSame, mixChanges } from './kill-run-oracle.ts';
import { describeMachine } from './machine.ts';
import type { Recording, RecordingProviderCommands } from './programs/recording-provider.ts';
import { onStage, type RedisProcess, type ServiceProcess, type Stage } from './stage.ts';

const operations = 100_000;
const records = 5_000;
const seed = 20_261_121;
const workerCount = 3;
const killEveryMs = 2_000;
const settings = { SLUICE_LEASE_TTL_MS: '2000' };
/** Slow enough that changes arrive during a dozen kills. */
const perSecond = 4_000;
const requestSize = 200;
const answerAfterMs = 10;
const maxConcurrency = 100;
const statusConnections = 32;
const finalTimeoutMs = 180_000;
/** The bundle lies in .sluice/bench/. */
const resultsFolder = fileURLToPath(new URL('../../load/results/', import.meta.url));

interface Accepted {
  readonly change: Change;
  readonly operationId: string;
}

async function submit(api: Pool, changes: readonly Change[]): Promise<Accepted[]> {
  const accepted: Accepted[] = [];
  const startedAt = performance.now();
  for (let at = 0; at < changes.length; at += requestSize) {
    const part = changes.slice(at, at + requestSize);
    const body = part.map(({ operation, recordId, timestampMs, data }) => ({
      operation,
      provider: 'p',
      record_id: recordId,
      timestamp: timestampMs,
      ...(data ? { data } : {}),
    }));
    const headers = { 'content-type': 'application/json' };
    const answer = await api.request({ method: 'POST', path: '/sync', headers, body: JSON.stringify(body) });
    const { results } = (await answer.body.json()) as { results: { operation_id: string }[] };
    if (answer.statusCode !== 202) throw new Error(`POST /sync answered ${answer.statusCode}`);
    for (const [index, change] of part.entries()) accepted.push({ change, operationId: results[index]?.operation_id as string });
    await delay(Math.max(0, startedAt + ((at + requestSize) / perSecond) * 1_000 - performance.now()));
  }
  return accepted;
}

/** Kills and replaces until told to stop. Returns the number of kills. */
async function killInTurn(stage: Stage, redis: RedisProcess, stop: AbortSignal): Promise<number> {
  const workers: ServiceProcess[] = await Promise.all(Array.from({ length: workerCount }, () => stage.worker(redis, { settings })));
  const startedAt = performance.now();
  let kills = 0;
  for (;;) {
    // A new worker is up before the next kill is due, unless the machine is busy with other things.
    const waitMs = Math.max(0, startedAt + (kills + 1) * killEveryMs - performance.now());
    const isStopped = await delay(waitMs, false, { signal: stop }).catch(() => true);
    if (isStopped) return kills;
    await workers.shift()?.kill();
    kills++;
    workers.push(await stage.worker(redis, { settings }));
  }
}

/** By operation id. An id that is not known any more counts as lost. */
async function readStatuses(api: Pool, ids: readonly string[]): Promise<Map<string, string>> {
  const statuses = new Map<string, string>();
  const left = ids.values();
  const read = async () => {
    for (const id of left) {
      const answer = await api.request({ method: 'GET', path: `/sync/status/${id}` });
      const { status } = (await answer.body.json()) as { status: string | number };
      statuses.set(id, answer.statusCode === 200 ? String(status) : `lost (${answer.statusCode})`);
    }
  };
  await Promise.all(Array.from({ length: statusConnections }, read));
  return statuses;
}

/** Requests came one after the other, so what was accepted is in its order already. */
function judge(accepted: readonly Accepted[], statuses: ReadonlyMap<string, string>, recording: Recording) {
  const expected = foretell(accepted.map(({ change }) => change));
  const counts: Record<string, number> = {};
  let wrongStatuses = 0;
  for (const [index, { operationId }] of accepted.entries()) {
    const status = statuses.get(operationId) ?? 'lost';
    counts[status] = (counts[status] ?? 0) + 1;
    const isRight = expected.isStale[index] ? status === 'stale' : status === 'succeeded' || status === 'coalesced';
    if (!isRight) wrongStatuses++;
  }
  const wrongRecords = [...expected.records].filter(([id, held]) => !isSame(recording.records.get(id), held)).length;
  return {
    statuses: counts,
    wrongStatuses,
    records: expected.records.size,
    wrongRecords,
    backwards: recording.backwards,
    overlapping: recording.overlapping,
    calls: recording.calls,
    // Each operation that succeeded needed one call; those it carried, and stale ones, none.
    repeatedCalls: recording.calls - (counts['succeeded'] ?? 0),
  };
}

async function run(stage: Stage) {
  const provider = stage.program<RecordingProviderCommands>('recording-provider');
  const providerPort = await provider.ask('listen', { answerAfterMs });
  const redis = await stage.redis();
  const feeder = await startFeeder(stage, redis);
  await feeder.ask('register', [{ name: 'p', base_url: `http://127.0.0.1:${providerPort}`, max_concurrency: maxConcurrency }]);
  const api = await stage.api(redis);
  const pool = new Pool(`http://127.0.0.1:${api.port}`, { connections: statusConnections });
  const stop = new AbortController();
  const startedAt = performance.now();
  const killing = killInTurn(stage, redis, stop.signal);
  const startMs = Date.now() - operations - records * 4;
  const accepted = await submit(pool, mixChanges({ operations, records, startMs, random: createRandom(seed) }));
  const acceptedSeconds = (performance.now() - startedAt) / 1_000;
  const areFinal = await Promise.race([feeder.ask('finished', 'p').then(() => true), delay(finalTimeoutMs, false, { ref: false })]);
  const seconds = (performance.now() - startedAt) / 1_000;
  stop.abort();
  const kills = await killing;
  const statuses = await readStatuses(
    pool,
    accepted.map(({ operationId }) => operationId),
  );
  await pool.close();
  return {
    operations: accepted.length,
    kills,
    acceptedSeconds,
    seconds,
    areFinal,
    ...judge(accepted, statuses, await provider.ask('recording')),
  };
}

async function main(): Promise<void> {
  if (process.platform !== 'linux') throw new Error('the bench runs on Linux only');
  const machine = describeMachine();
  console.error(`  ${operations} operations over ${records} records; about ${Math.round(operations / perSecond)} s`);
  const result = await onStage(run);
  const { wrongStatuses, wrongRecords, backwards, overlapping, areFinal, kills } = result;
  const hasPassed = areFinal && kills > 0 && wrongStatuses + wrongRecords + backwards + overlapping === 0;
  console.log(JSON.stringify(result, undefined, 2));
  console.log(hasPassed ? `passed: ${result.repeatedCalls} calls repeated over ${kills} kills` : 'FAILED');
  mkdirSync(resultsFolder, { recursive: true });
  const at = new Date().toISOString();
  const file = `${resultsFolder}${at.slice(0, 19).replaceAll(':', '-')}-kill-run.json`;
  writeFileSync(file, `${JSON.stringify({ at, machine, seed, has_passed: hasPassed, ...result }, undefined, 2)}\n`);
  console.log(`written to ${file}`);
  if (!hasPassed) process.exitCode = 1;
}

await main();
