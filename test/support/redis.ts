/**
 * Redis servers for tests: each on a free port, in a directory of its own, and ended with the test process whatever becomes of it.
 * `const redis = await startRedis()` in `beforeAll`, `await redis.stop()` in `afterAll`.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from '../../scripts/free-port.mjs';
import { askRedis } from '../../scripts/redis-ask.mjs';
import { runRedisServer } from '../../scripts/redis-server.mjs';
import { eventually } from './eventually.ts';

export interface RedisServer {
  readonly url: string;
  readonly port: number;
  readonly dir: string;
  /** Changes with a restart. */
  pid(): number;
  /** Ends it and removes its directory. */
  stop(): Promise<void>;
  /** Ends it in good order (SIGTERM) and keeps its files for `restart`. */
  terminate(): Promise<void>;
  /** Ends it as a power cut would, and keeps its files for `restart`. */
  kill9(): Promise<void>;
  /** Starts it again on the same port with the files it left; ends it in good order first if it runs. */
  restart(): Promise<void>;
  /** Freezes it (SIGSTOP): connections stay open, nothing answers. */
  pause(): void;
  resume(): void;
  /** One command over a connection of its own; the reply as text. */
  ask(...command: string[]): Promise<string>;
}

export interface RedisOptions {
  /** Keeps an append-only file, synced at every write; default false. */
  readonly appendonly?: boolean;
  /** More of the server's own arguments, such as `['--maxmemory', '10mb']`. */
  readonly args?: readonly string[];
}

export async function startRedis(options: RedisOptions = {}): Promise<RedisServer> {
  const dir = await mkdtemp(join(tmpdir(), 'sluice-redis-'));
  const durable = options.appendonly ? ['--appendonly', 'yes', '--appendfsync', 'always'] : ['--appendonly', 'no'];
  const args = [...durable, ...(options.args ?? [])];
  let server = await runRedisServer({ dir, args });
  const { port } = server;
  const end = async (signal: NodeJS.Signals) => {
    server.child.kill(signal);
    await server.ended;
  };
  return {
    url: `redis://127.0.0.1:${port}`,
    port,
    dir,
    pid: () => server.pid,
    async stop() {
      await end('SIGKILL');
      await rm(dir, { recursive: true, force: true });
    },
    terminate: () => end('SIGTERM'),
    kill9: () => end('SIGKILL'),
    async restart() {
      await end('SIGTERM');
      server = await runRedisServer({ dir, args, port });
    },
    pause: () => void server.child.kill('SIGSTOP'),
    resume: () => void server.child.kill('SIGCONT'),
    ask: (...command) => askRedis(port, command),
  };
}

export interface RedisCluster {
  /** A comma-separated list of its nodes. */
  readonly url: string;
  readonly nodes: readonly RedisServer[];
  stop(): Promise<void>;
}

/** A Redis Cluster of so many masters, all slots served; no replicas. */
export async function startCluster(masters = 3, options: RedisOptions = {}): Promise<RedisCluster> {
  const nodes = await Promise.all(Array.from({ length: masters }, () => startClusterNode(options)));
  const stop = async () => {
    await Promise.all(nodes.map((node) => node.server.stop()));
  };
  try {
    await joinNodes(nodes);
  } catch (error) {
    await stop();
    throw error;
  }
  return { url: nodes.map((node) => node.server.url).join(','), nodes: nodes.map((node) => node.server), stop };
}

interface ClusterNode {
  readonly server: RedisServer;
  readonly busPort: number;
}

async function startClusterNode(options: RedisOptions): Promise<ClusterNode> {
  // The default bus port, 10,000 above the port, may lie beyond 65,535.
  const busPort = await freePort();
  const cluster = ['--cluster-enabled', 'yes', '--cluster-port', String(busPort), '--cluster-node-timeout', '5000'];
  const server = await startRedis({ ...options, args: [...cluster, ...(options.args ?? [])] });
  return { server, busPort };
}

async function joinNodes(nodes: readonly ClusterNode[]): Promise<void> {
  const slots = 16_384;
  for (const [index, { server }] of nodes.entries()) {
    const first = Math.floor((index * slots) / nodes.length);
    const last = Math.floor(((index + 1) * slots) / nodes.length) - 1;
    await server.ask('CLUSTER', 'SET-CONFIG-EPOCH', String(index + 1));
    await server.ask('CLUSTER', 'ADDSLOTSRANGE', String(first), String(last));
  }
  const [head, ...rest] = nodes;
  for (const { server, busPort } of rest) await head?.server.ask('CLUSTER', 'MEET', '127.0.0.1', String(server.port), String(busPort));
  await eventually(async () => {
    const states = await Promise.all(nodes.map(({ server }) => server.ask('CLUSTER', 'INFO')));
    return states.every((state) => state.includes('cluster_state:ok') && state.includes(`cluster_known_nodes:${nodes.length}\r`));
  });
}
