// @ts-check
/**
 * `npm start`: the whole service in the foreground. Set-up and build, then Redis, the simulator, two workers and the API, each started
 * again if it dies; a first sync; and on Ctrl-C all of it ended in order, the last writer before Redis. What has to last lies in
 * .sluice/, or in the folder of `--state`.
 */
import { join, resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { awaitRedis } from './await-redis.mjs';
import { build } from './build.mjs';
import { startEmbeddedRedis } from './embedded-redis.mjs';
import { readOrMakeKey } from './encryption-key.mjs';
import { firstSync, nextSteps, registerDemoCrms } from './first-sync.mjs';
import { acquireLock } from './folder-lock.mjs';
import { freePort } from './free-port.mjs';
import { nodeEnvironment, nodeFlags } from './node-flags.mjs';
import { setUp } from './setup.mjs';
import { superviseProcess } from './supervised-process.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const state = resolve(parseArgs({ options: { state: { type: 'string', default: join(root, '.sluice') } } }).values.state);
const workers = 2;
const preferredSimulatorPort = 9400;
/** Empty: we run a Redis of our own. */
const givenRedisUrl = process.env['REDIS_URL']?.trim() ?? '';

const print = (/** @type {string} */ line) => console.log(line);
/** How to end what has been started: stage by stage from the last to the first, each stage's parts at once. */
const stages = {
  redis: /** @type {(() => Promise<void>)[]} */ ([]),
  simulator: /** @type {(() => Promise<void>)[]} */ ([]),
  worker: /** @type {(() => Promise<void>)[]} */ ([]),
  api: /** @type {(() => Promise<void>)[]} */ ([]),
};
let stoppingSinceMs = 0;
/** A little more than the processes take to drain. */
let stopGraceMs = 0;

process.on('SIGINT', () => void stop(0));
process.on('SIGTERM', () => void stop(0));
process.on('SIGHUP', () => void stop(0));
stopWithNpm();

try {
  await start();
} catch (error) {
  if (stoppingSinceMs === 0) {
    console.error(error instanceof Error ? error.message : error);
    await stop(1);
  }
}

async function start() {
  await setUp({ needsRedis: givenRedisUrl === '' });
  const lock = acquireLock(join(state, 'start.lock'));
  if (lock.status === 'held')
    throw new Error(`Sluice already runs in this folder (process ${lock.pid}). Stop it first, or use another clone.`);
  process.once('exit', lock.release);
  await build();
  const settings = await readSettings();
  stopGraceMs = settings.drainMs + 5_000;

  const { host } = settings;
  const port = await claimPort(settings.port, host, lock.wasLeftBehind);
  const redisUrl = givenRedisUrl === '' ? await embeddedRedis() : await givenRedis(settings.address);
  if (stoppingSinceMs !== 0) return;
  const simulatorPort = await freePort(preferredSimulatorPort);
  const env = {
    LOG_LEVEL: 'warn',
    SLUICE_ALLOW_PRIVATE_NETWORKS: 'true',
    SLUICE_ENCRYPTION_KEY: readOrMakeKey(join(state, 'encryption.key')),
    // An empty value counts as not set, as it does in the services.
    ...Object.fromEntries(Object.entries(process.env).filter(([, value]) => value?.trim() !== '')),
    REDIS_URL: redisUrl,
  };
  const apiUrl = `http://${hostInUrl(host)}:${port}`;
  const simulatorUrl = `http://127.0.0.1:${simulatorPort}`;
  const simulator = run('simulator', 'simulator', { ...env, HOST: '127.0.0.1', PORT: String(simulatorPort) });
  const running = [];
  for (let n = 1; n <= workers; n += 1) {
    const metricsPort = await freePort();
    const process = run(`worker ${n}`, 'worker', { ...env, METRICS_PORT: String(metricsPort) });
    const base = `http://${hostInUrl(host)}:${metricsPort}`;
    running.push({ process, url: `${base}/readyz`, metrics: `${base}/metrics` });
  }
  const api = run('api', 'api', { ...env, PORT: String(port) });
  const all = [{ process: simulator, url: `${simulatorUrl}/_control` }, ...running, { process: api, url: `${apiUrl}/readyz` }];
  await Promise.all(all.map(untilReady));
  if (stoppingSinceMs !== 0) return;

  print('');
  print('Sluice is running.');
  print(`  API        ${apiUrl}   (${apiUrl}/docs, ${apiUrl}/metrics)`);
  print(
    `  Redis      ${givenRedisUrl === '' ? `${redisUrl}   (its data: ${join(state, 'redis')})` : `${settings.address}   (of REDIS_URL)`}`,
  );
  print(`  simulator  ${simulatorUrl}   (kind http; below it /salesforce, /hubspot, /outreach)`);
  for (const { process, metrics } of running) print(`  ${process.name}   pid ${process.pid()}   (${metrics})`);
  print(`  Kill one: kill -9 ${running[0]?.process.pid()}. The other takes over, and a new one is started.`);
  print('');
  await demo(apiUrl, simulatorUrl);
  print('');
  print('Ctrl-C stops it all. Started again, it has kept its data; only the simulated providers begin empty:');
  print('an update of a record that they had before becomes a dead letter (not_found), an upsert makes the record again.');
}

/**
 * By the services' own rules, so that what they would refuse ends this start with its name, before anything runs.
 * @returns {Promise<{ host: string, port: number, drainMs: number, address: string }>} `address`: of Redis, without credentials
 */
async function readSettings() {
  const { parseSettings, summarizeSettings } = await import(pathToFileURL(join(root, 'dist/settings.js')).href);
  const settings = parseSettings(process.env);
  return { ...settings, address: summarizeSettings(settings).REDIS_URL };
}

/**
 * Waits for the Redis of `REDIS_URL`: without it the services would only repeat that it is not there.
 * @param {string} address
 */
async function givenRedis(address) {
  const { connectRedis, disconnectRedis } = await import(pathToFileURL(join(root, 'dist/connection.js')).href);
  const client = connectRedis(givenRedisUrl, { name: 'start', commandTimeoutMs: 2_000 });
  await awaitRedis({ ping: () => client.ping(), address, print, isStopping: () => stoppingSinceMs !== 0 });
  await disconnectRedis(client);
  return givenRedisUrl;
}

/** @param {string} host what the services listen on; of all addresses, loopback is one */
function hostInUrl(host) {
  if (/^(0\.0\.0\.0|::)$/.test(host)) return '127.0.0.1';
  return host.includes(':') ? `[${host}]` : host;
}

/** @returns {Promise<string>} its URL */
async function embeddedRedis() {
  const redis = await startEmbeddedRedis(join(state, 'redis'), print);
  stages.redis.push(redis.stop);
  return redis.url;
}

/**
 * @param {string} name
 * @param {'api' | 'worker' | 'simulator'} bundle
 * @param {NodeJS.ProcessEnv} env
 */
function run(name, bundle, env) {
  const args = [...nodeFlags[bundle], join('dist', `${bundle}.js`)];
  const process = superviseProcess({ name, args, cwd: root, env: { ...nodeEnvironment[bundle], ...env }, print });
  stages[bundle].push(() => process.stop(stopGraceMs));
  return process;
}

/**
 * The port (for 0 a free one), or an error with a clear message. What a killed start left behind is given time to end.
 * @param {number} port
 * @param {string} host
 * @param {boolean} maybeLeftBehind
 */
async function claimPort(port, host, maybeLeftBehind) {
  if (port === 0) return await freePort(0, host);
  for (let tries = maybeLeftBehind ? 100 : 1; tries > 0; tries -= 1) {
    if ((await freePort(port, host)) === port) return port;
    if (tries > 1) await delay(100);
  }
  throw new Error(`Port ${port} on ${host} is taken. Stop what uses it, or choose another: PORT=8081 npm start`);
}

/** @param {{ process: import('./supervised-process.mjs').SupervisedProcess, url: string }} started */
async function untilReady({ process, url }) {
  const deadline = performance.now() + 60_000;
  for (;;) {
    if (stoppingSinceMs !== 0) return;
    if (process.deaths() > 0) throw new Error(`The ${process.name} process ended at its start; what it said stands above.`);
    const answer = await fetch(url, { signal: AbortSignal.timeout(5_000) }).catch(() => undefined);
    await answer?.arrayBuffer().catch(() => {});
    if (answer?.status === 200) return;
    if (performance.now() > deadline) throw new Error(`${url} is not ready after a minute; LOG_LEVEL=info npm start says more`);
    await delay(50);
  }
}

/**
 * @param {string} apiUrl
 * @param {string} simulatorUrl
 */
async function demo(apiUrl, simulatorUrl) {
  if (process.env['SLUICE_API_KEYS']) {
    print('API keys are set, so no first sync is made. With a key of yours: README.md, "A first sync".');
    return;
  }
  const { operationId, status, attempts, ms } = await firstSync(apiUrl, simulatorUrl);
  await registerDemoCrms(apiUrl, simulatorUrl);
  print(
    `A first sync: upsert of contact "ada" at the provider "demo": ${status} after ${attempts} attempt${attempts === 1 ? '' : 's'}, ${ms} ms.`,
  );
  print('Go on with:');
  for (const line of await nextSteps(apiUrl, simulatorUrl, operationId)) print(`  ${line}`);
}

/**
 * Ends everything, Redis last; asked again, at once. One Ctrl-C may come twice, from the terminal and through npm, so that only a
 * later one counts.
 * @param {number} code
 */
async function stop(code) {
  if (stoppingSinceMs !== 0) {
    if (performance.now() - stoppingSinceMs > 1_000) process.exit(130);
    return;
  }
  stoppingSinceMs = performance.now();
  if (code === 0) print('\nstopping ...');
  for (const stage of [stages.api, stages.worker, stages.simulator, stages.redis]) await Promise.all(stage.map((end) => end()));
  if (code === 0) print('stopped');
  process.exit(code);
}

/** npm does not live through kill -9; without it nobody would be there to press Ctrl-C. */
function stopWithNpm() {
  if (process.env['npm_lifecycle_event'] === undefined) return;
  const parent = process.ppid;
  setInterval(() => {
    if (process.ppid !== parent && stoppingSinceMs === 0) void stop(0);
  }, 1_000).unref();
}
