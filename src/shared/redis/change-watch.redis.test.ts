/** A copy of a hash whose changes are counted and announced, as stores do it: lost announcements, outages, and the order of readings. */
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { deaf } from '../../../test/support/deaf-subscriber.ts';
import { eventually } from '../../../test/support/eventually.ts';
import { startRedis } from '../../../test/support/redis.ts';
import { useRedis } from '../../../test/support/use-redis.ts';
import { type ChangeWatch, createChangeWatch, type Subscriber } from './change-watch.ts';
import { connectRedis, disconnectRedis, type RedisClient } from './connection.ts';

const channel = 'watched:changed';
let redis: RedisClient;
let watches = 0;
let hash: string;

const { connect } = useRedis((client) => {
  redis = client;
});
beforeEach(() => {
  watches += 1;
  hash = `watched:${watches}`;
});

/** Changes one field, as a script of a store does. */
async function change(field: string, at: RedisClient = redis): Promise<void> {
  await at.multi().hset(hash, field, '1').hincrby(hash, ':version', 1).publish(channel, field).exec();
}

interface Watched {
  readonly watch: ChangeWatch;
  readonly copy: () => readonly string[];
  readonly heard: readonly string[];
  readonly readings: () => number;
}

/** `whileReading` runs when the copy's new content has been read, before it takes its place. */
function watched(subscriber: Subscriber, { at = redis, whileReading = async () => {} } = {}): Watched {
  let copy: readonly string[] = [];
  let readings = 0;
  const heard: string[] = [];
  const watch = createChangeWatch({
    subscriber,
    channel,
    onAnnounced: (message) => void heard.push(message),
    countChanges: async () => Number(await at.hget(hash, ':version')),
    async readAll() {
      readings += 1;
      const { ':version': changes, ...fields } = await at.hgetall(hash);
      await whileReading();
      copy = Object.keys(fields).sort();
      return Number(changes ?? 0);
    },
  });
  onTestFinished(() => watch.stop());
  return { watch, copy: () => copy, heard, readings: () => readings };
}

/** Something that a test lets go on when it likes. */
function latch() {
  let open = () => {};
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { open: () => open(), opened };
}

describe('a watch', () => {
  it('has everything once it has started, and hears what is announced on its channel alone', async () => {
    await change('a');
    const subscriber = connect();
    const { watch, copy, heard, readings } = watched(subscriber);
    await watch.start();
    expect(copy()).toEqual(['a']);
    await subscriber.subscribe('other');
    await redis.publish('other', 'x');
    await change('b');
    await eventually(() => heard.length === 1);
    expect(heard).toEqual(['b']);
    expect([copy(), readings()], 'what to read then is its user’s').toEqual([['a'], 1]);
  });

  it('finds with its next tick what was never announced to it, and reads nothing where nothing changed', async () => {
    const { watch, copy, readings } = watched(deaf);
    expect(await watch.tick()).toBe('reloaded');
    expect(await watch.tick()).toBe('unchanged');
    await change('a');
    await change('b');
    expect(copy()).toEqual([]);
    expect(await watch.tick()).toBe('reloaded');
    expect(await watch.tick()).toBe('unchanged');
    expect([copy(), readings()]).toEqual([['a', 'b'], 2]);
  });

  it('reads again where something changed while it read', async () => {
    const changes = ['late'];
    const { watch, copy } = watched(deaf, {
      whileReading: async () => {
        for (const field of changes.splice(0)) await change(field);
      },
    });
    await watch.start();
    expect(copy()).toEqual([]);
    expect(await watch.tick()).toBe('reloaded');
    expect(copy()).toEqual(['late']);
  });

  it('hears nothing after it has stopped, and stops only when its last reading is over', async () => {
    const subscriber = connect();
    const reading = latch();
    const { watch, copy, heard, readings } = watched(subscriber, { whileReading: () => reading.opened });
    await change('a');
    const started = watch.start();
    await eventually(() => readings() === 1, { intervalMs: 1 });
    let hasStopped = false;
    const stopped = watch.stop().then(() => {
      hasStopped = true;
    });
    await redis.ping();
    expect(hasStopped).toBe(false);
    reading.open();
    await Promise.all([started, stopped]);
    expect(copy()).toEqual(['a']);
    await change('b');
    await subscriber.ping();
    expect(heard).toEqual([]);
  });

  it.each(['its first reading has begun', 'it has subscribed'])('follows nothing when it is stopped before %s', async (moment) => {
    const subscriber = connect();
    const { watch, heard, copy } = watched(subscriber);
    await change('a');
    const started = watch.start();
    // A reading begins with a microtask; its subscription is on the way then.
    if (moment === 'it has subscribed') await Promise.resolve();
    await Promise.all([started, watch.stop()]);
    expect(copy()).toEqual(['a']);
    expect(await redis.pubsub('NUMSUB', channel)).toEqual([channel, 0]);
    await watch.tick();
    await change('b');
    await subscriber.ping();
    expect(heard).toEqual([]);
  });
});

describe('readings', () => {
  it('follow one another in the order they are asked for: an older one never replaces a newer one', async () => {
    const slow = latch();
    const order: string[] = [];
    const { watch } = watched(deaf, {
      whileReading: async () => {
        await slow.opened;
        order.push('everything');
      },
    });
    const read = (name: string) => watch.inTurn(async () => void order.push(name));
    const all = [watch.start(), read('first'), read('second')];
    await redis.ping();
    expect(order).toEqual([]);
    slow.open();
    await Promise.all(all);
    expect(order).toEqual(['everything', 'first', 'second']);
  });

  it('share a round that has not begun, but not one that has', async () => {
    const slow = latch();
    const { watch, readings, copy } = watched(deaf, { whileReading: () => slow.opened });
    const first = watch.start();
    await eventually(() => readings() === 1, { intervalMs: 1 });
    await change('a');
    const rounds = [watch.tick(), watch.tick(), watch.tick()];
    slow.open();
    await first;
    expect(await Promise.all(rounds)).toEqual(['reloaded', 'reloaded', 'reloaded']);
    expect([copy(), readings()]).toEqual([['a'], 2]);
  });

  it('go on after one that failed', async () => {
    const { watch } = watched(deaf);
    const failing = watch.inTurn(async () => {
      throw new Error('lost');
    });
    const next = watch.inTurn(async () => 'read');
    await expect(failing).rejects.toThrow('lost');
    expect(await next).toBe('read');
  });
});

describe('an outage of Redis', () => {
  it('leaves the copy as it is; afterwards the watch follows again, and hears announcements', async () => {
    const server = await startRedis({ appendonly: true });
    const at = connectRedis(server.url, { name: 'outage', commandTimeoutMs: 300 });
    const subscriber = connectRedis(server.url, { name: 'outage-subscriber' });
    onTestFinished(async () => {
      await Promise.all([disconnectRedis(at), disconnectRedis(subscriber)]);
      await server.stop();
    });
    const { watch, copy, heard } = watched(subscriber, { at });
    await change('a', at);
    await watch.start();
    await server.terminate();
    expect(await watch.tick()).toBe('unreachable');
    expect(copy()).toEqual(['a']);
    await server.restart();
    await eventually(async () => (await watch.tick()) === 'unchanged');
    await change('b', at);
    expect(await watch.tick()).toBe('reloaded');
    expect(copy()).toEqual(['a', 'b']);
    // Not until the subscriber is back are changes announced to it, so this one is made again and again.
    await eventually(async () => {
      await change('c', at);
      return heard.includes('c');
    });
  });

  it('at the start is an error of the start; a later tick begins anew, with one listener', async () => {
    const subscriber = connect();
    let failures = 2;
    const failing: Subscriber = {
      async subscribe(name) {
        if (failures-- > 0) throw new Error('away');
        return subscriber.subscribe(name);
      },
      unsubscribe: (name) => subscriber.unsubscribe(name),
      on: (event, listener) => subscriber.on(event, listener),
      off: (event, listener) => subscriber.off(event, listener),
    };
    const { watch, heard, readings } = watched(failing);
    await expect(watch.start()).rejects.toThrow('away');
    expect(await watch.tick()).toBe('unreachable');
    expect(readings()).toBe(0);
    expect(await watch.tick()).toBe('reloaded');
    await change('a');
    await eventually(() => heard.length > 0);
    await subscriber.ping();
    expect(heard).toEqual(['a']);
  });
});
