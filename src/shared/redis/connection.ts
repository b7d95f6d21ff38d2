/**
 * Connections to Redis or Redis Cluster. The rest of the code sees `RedisClient` and the few calls it has in common for both, so that
 * another client library could take ioredis's place here.
 */
import { Cluster, Redis } from 'ioredis';
import { maskRedisAddress, parseRedisAddress, redisAddressForms } from '../domain/redis-address.ts';

export type RedisClient = Redis | Cluster;

/**
 * A command fails at once when its connection breaks or cannot be made, and after `commandTimeoutMs` when Redis does not answer: callers see
 * an outage instead of hanging, and whether to try again is theirs to say. The client itself goes on reconnecting. Commands are written
 * as they are given, without waiting for the answers of those before them; the client's automatic pipelines stay off (decision 0013).
 * Throws on an address that is none.
 */
export function connectRedis(url: string, options: { name: string; commandTimeoutMs?: number }): RedisClient {
  const address = parseRedisAddress(url);
  if (!address) throw new Error(`the address of Redis: expected ${redisAddressForms}`);
  const { isCluster, nodes } = address;
  const common = {
    replyMapping: 'legacy' as const,
    connectionName: `sluice-${options.name}`,
    commandTimeout: options.commandTimeoutMs ?? 5_000,
    connectTimeout: 5_000,
    disconnectTimeout: 500,
    // A write that may have been done is not silently sent again. With more than 0 here, ioredis would neither send nor fail what was under way
    // when the connection broke, until the command's time is over.
    maxRetriesPerRequest: 0,
    autoResendUnfulfilledCommands: false,
    retryStrategy: (times: number) => Math.min(50 * times, 1_000),
    keepAlive: 10_000,
    noDelay: true,
  };
  if (!isCluster) return guarded(withCauses(withJoinedWrites(new Redis(nodes[0] as string, common)), maskRedisAddress(url)));
  const cluster = new Cluster([...nodes], {
    redisOptions: { ...common, ...credentialsOf(nodes[0] as string) },
    clusterRetryStrategy: (times) => Math.min(100 * times, 1_000),
    // 0: what was under way on a broken connection is not sent again (see above).
    retryDelayOnFailover: 0,
    slotsRefreshInterval: 10_000,
  });
  return guarded(bounded(cluster, common.commandTimeout));
}

/** What is sent in one turn of the event loop is one write to the socket. */
function withJoinedWrites(redis: Redis): Redis {
  const send = redis.sendCommand.bind(redis);
  let corked: Redis['stream'] | undefined;
  const uncork = () => {
    corked?.uncork();
    corked = undefined;
  };
  redis.sendCommand = (command, ...rest) => {
    if (!corked && redis.stream) {
      corked = redis.stream;
      corked.cork();
      process.nextTick(uncork);
    }
    return send(command, ...rest);
  };
  return redis;
}

/** Of ioredis's own; where it is missing one day, only the messages are the worse for it. */
interface Flushing {
  flushQueue?(error: Error, options?: unknown): void;
}

/**
 * What fails for want of a connection says where Redis was looked for and why it was not found, in the place of ioredis's "Reached the max
 * retries". Name and class stay as they are.
 */
function withCauses(redis: Redis, address: string): Redis {
  let last: Error | undefined;
  redis.on('error', (error: Error) => {
    last = error;
  });
  redis.on('ready', () => {
    last = undefined;
  });
  const flushing = redis as unknown as Flushing;
  const flush = flushing.flushQueue?.bind(redis);
  if (!flush) return redis;
  flushing.flushQueue = (error, options) => {
    if (error.name === 'MaxRetriesPerRequestError') explain(error, address, last);
    flush(error, options);
  };
  return redis;
}

function explain(error: Error, address: string, cause: Error | undefined): void {
  // An address with several numbers fails with one error for all, which has no message.
  const why = cause ? cause.message || String((cause as { code?: unknown }).code ?? cause.name) : 'the connection was closed';
  error.message = `Redis at ${address} cannot be reached: ${why}`;
  // Where in ioredis it was made helps nobody.
  error.stack = `${error.name}: ${error.message}`;
  if (cause) error.cause = cause;
}

/** ioredis bounds a command's time on a node, but not the time it waits for the cluster to be found. */
function bounded(cluster: Cluster, timeoutMs: number): Cluster {
  const send = cluster.sendCommand.bind(cluster);
  cluster.sendCommand = (command, ...rest) => {
    command.setTimeout(timeoutMs);
    return send(command, ...rest);
  };
  return cluster;
}

/** A cluster tells its nodes' addresses without what is needed to get in: that is the same everywhere. */
function credentialsOf(node: string): { username?: string; password?: string; tls?: object } {
  const { protocol, username, password } = new URL(node);
  return {
    ...(username === '' ? {} : { username: decodeURIComponent(username) }),
    ...(password === '' ? {} : { password: decodeURIComponent(password) }),
    ...(protocol === 'rediss:' ? { tls: {} } : {}),
  };
}

/** Without a listener, ioredis throws connection errors into the process; they show up as failed commands anyway. */
function guarded<T extends RedisClient>(client: T): T {
  client.on('error', () => {});
  return client;
}

/** Ends a connection, at once where Redis does not answer. */
export async function disconnectRedis(client: RedisClient): Promise<void> {
  const quit = client.quit().then(
    () => {},
    () => {},
  );
  const timer = setTimeout(() => client.disconnect(), 500);
  await quit;
  clearTimeout(timer);
  client.disconnect();
}
