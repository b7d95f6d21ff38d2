import { describe, expect, it } from 'vitest';
import { AcceptedTooLate } from '../shared/queue/submit.ts';
import { anonymousProblem } from './anonymous.ts';
import { createRedisClock } from './redis-clock.ts';
import { isRedisOutage, sayOutage } from './redis-outage.ts';
import { createRequestIds } from './request-id.ts';

describe('createRedisClock', () => {
  it('follows Redis’s clock by the middle of a round trip, and keeps the last distance when Redis is away', async () => {
    let now = 1_000_000;
    let isUp = true;
    const clock = createRedisClock({
      now: () => now,
      async time() {
        now += 20;
        if (!isUp) throw new Error('away');
        return ['5000', '500000'];
      },
    });
    expect(clock.nowMs()).toBe(1_000_000);
    expect(await clock.tick()).toBe('measured');
    expect(clock.nowMs()).toBe(5_000_510);
    isUp = false;
    expect(await clock.tick()).toBe('unreachable');
    expect(clock.nowMs()).toBe(5_000_530);
  });
});

describe('isRedisOutage', () => {
  const reply = (message: string) => Object.assign(new Error(message), { name: 'ReplyError' });

  it('knows an outage by the reply, the client’s error or the socket’s', () => {
    const outages = [
      reply("OOM command not allowed when used memory > 'maxmemory'."),
      reply('READONLY You can’t write against a read only replica.'),
      reply('LOADING Redis is loading the dataset in memory'),
      reply('CLUSTERDOWN The cluster is down'),
      reply('MASTERDOWN Link with MASTER is down'),
      reply('NOAUTH Authentication required.'),
      reply('MISCONF Redis is configured to save RDB snapshots'),
      reply('BUSY Redis is busy running a script'),
      Object.assign(new Error('x'), { name: 'MaxRetriesPerRequestError' }),
      Object.assign(new Error('x'), { code: 'ECONNREFUSED' }),
      new Error('Command timed out'),
      new Error('Connection is closed.'),
      new AcceptedTooLate(),
    ];
    for (const error of outages) expect(isRedisOutage(error), error.message).toBe(true);
  });

  it('takes a bug for a bug', () => {
    const bugs = [
      reply('ERR wrong number of arguments'),
      reply('WRONGTYPE Operation against a key'),
      new TypeError('x is not a function'),
      'text',
      undefined,
    ];
    for (const error of bugs) expect(isRedisOutage(error), String(error)).toBe(false);
  });
});

describe('sayOutage', () => {
  it('tells a full Redis, one that refuses, and one that does not answer apart', () => {
    const reply = (message: string) => Object.assign(new Error(message), { name: 'ReplyError' });
    expect(sayOutage(reply("OOM command not allowed when used memory > 'maxmemory'."))).toBe('Redis is full');
    expect(sayOutage(reply('READONLY You can’t write against a read only replica.'))).toBe('Redis refuses commands now');
    expect(sayOutage(new Error('Command timed out'))).toBe('Redis does not answer');
  });
});

describe('createRequestIds', () => {
  it('keeps plain names and makes others, each once', () => {
    const requestId = createRequestIds('p1');
    expect(requestId('mine.1:2')).toBe('mine.1:2');
    const made = ['', 'a b', 'x'.repeat(129), undefined].map(requestId);
    expect(new Set(made).size).toBe(4);
    for (const name of made) expect(name).toMatch(/^p1-/);
  });
});

describe('anonymousProblem', () => {
  it('lets loopback, keys or the operator’s word open the door', () => {
    for (const host of ['127.0.0.1', '127.8.8.8', '::1', 'localhost'])
      expect(anonymousProblem({ host, allowAnonymous: false }, 0), host).toBeUndefined();
    for (const host of ['0.0.0.0', '::', '10.0.0.1', 'example.org', '127.evil.org'])
      expect(anonymousProblem({ host, allowAnonymous: false }, 0), host).toContain(host);
    expect(anonymousProblem({ host: '0.0.0.0', allowAnonymous: true }, 0)).toBeUndefined();
    expect(anonymousProblem({ host: '0.0.0.0', allowAnonymous: false }, 1)).toBeUndefined();
  });
});
