import { Writable } from 'node:stream';
import { afterEach, expect, test } from 'vitest';
import { anOperation, aQueue } from '../../test/support/lanes.ts';
import { createLogger } from '../shared/telemetry/logger.ts';
import { createMetrics, type Metrics } from '../shared/telemetry/metrics.ts';
import { finish, giveUp } from './engine/conclude.ts';
import { createTelemetry } from './telemetry.ts';

let metrics: Metrics | undefined;
afterEach(() => metrics?.close());

function open() {
  const lines: Record<string, unknown>[] = [];
  const destination = new Writable({
    write(chunk, _encoding, done) {
      lines.push(JSON.parse(String(chunk)));
      done();
    },
  });
  const opened = createMetrics();
  metrics = opened;
  const clock = { now: 0 };
  const log = createLogger({ level: 'info', name: 'worker', destination });
  const telemetry = createTelemetry({ metrics: opened, log, now: () => clock.now });
  const value = async (name: string) =>
    Number(new RegExp(`^${name.replace(/[{}"]/g, '\\$&')} (\\S+)$`, 'm').exec(await opened.expose())?.[1] ?? Number.NaN);
  return { telemetry, lines, clock, value };
}

test('counts what became of operations, and how long they took', async () => {
  const { telemetry, value } = open();
  const queue = aQueue('crm:acme');
  telemetry.final(queue, finish(anOperation(1), 'succeeded', 3_001));
  telemetry.final(queue, finish(anOperation(2), 'succeeded', 3_002));
  expect(await value('sluice_operations_total{provider="crm",operation="update",outcome="succeeded"}')).toBe(2);
  expect(await value('sluice_operation_seconds_sum{provider="crm"}')).toBeCloseTo(4);
});

test('counts permits by what came of asking', async () => {
  const { telemetry, value } = open();
  const grant = {
    nowMs: 0,
    startsMs: [0, 0, 20],
    retryInMs: 10,
    refusedBy: 'rate',
    slots: 5,
    fairSlots: 5,
    doOthersWait: false,
    breaker: 'closed',
    pausedUntilMs: 0,
    epoch: 0,
  } as const;
  telemetry.granted('crm', { ...grant, startsMs: [...grant.startsMs] }, 10);
  telemetry.granted('crm', { ...grant, startsMs: [] }, 0);
  expect(await value('sluice_permits_total{provider="crm",result="granted"}')).toBe(2);
  expect(await value('sluice_permits_total{provider="crm",result="waited"}')).toBe(1);
  expect(await value('sluice_permits_total{provider="crm",result="refused"}')).toBe(7);
});

test('an operation that was given up is in the log, with its id and its error', () => {
  const { telemetry, lines } = open();
  const error = { kind: 'invalid', code: 'rejected', message: 'no such field' } as const;
  telemetry.final(aQueue('crm'), giveUp(anOperation(1), 'digest', error, 2_000));
  expect(lines).toHaveLength(1);
  expect(lines[0]).toMatchObject({
    msg: 'operation given up',
    provider: 'crm',
    operation_id: '0.rt.1.crm',
    code: 'rejected',
    reason: 'no such field',
  });
});

test('a pause is in the log with whose it is, why and until when, and counted by its reason', async () => {
  const { telemetry, lines, value } = open();
  const pause = { reason: 'auth', cause: 'invalid_client', untilMs: Date.parse('2026-05-01T12:00:00Z') } as const;
  telemetry.paused('crm', pause);
  telemetry.paused('crm:acme', { ...pause, reason: 'breaker' });
  const told = { msg: 'provider pauses', provider: 'crm', cause: 'invalid_client', until: '2026-05-01T12:00:00.000Z' };
  expect(lines).toEqual([
    expect.objectContaining({ ...told, reason: 'auth' }),
    expect.objectContaining({ ...told, reason: 'breaker', tenant: 'acme' }),
  ]);
  expect(lines[0]).not.toHaveProperty('tenant');
  for (const reason of ['auth', 'breaker']) expect(await value(`sluice_pauses_total{provider="crm",reason="${reason}"}`)).toBe(1);
});

test('calls that fail and are repeated are in the log with their cause, and so is the end of it', () => {
  const { telemetry, lines } = open();
  telemetry.failing('crm:acme', { kind: 'transient', code: 'token_unavailable', message: 'nothing listens' }, 3);
  telemetry.recovered('crm:acme');
  expect(lines).toEqual([
    expect.objectContaining({
      level: 'warn',
      provider: 'crm',
      tenant: 'acme',
      code: 'token_unavailable',
      reason: 'nothing listens',
      failures: 3,
    }),
    expect.objectContaining({ level: 'info', provider: 'crm', tenant: 'acme' }),
  ]);
});

test('an outage is one line a second, not one a call; every fault counts', async () => {
  const { telemetry, lines, clock, value } = open();
  for (let i = 0; i < 50; i++) {
    clock.now = i * 100;
    telemetry.fault('redis', new Error('connection lost'), {});
    telemetry.fault('redis', new Error('connection lost'), {});
  }
  expect(lines).toHaveLength(5);
  telemetry.fault('bug', new Error('a bug'), { queue: 'crm' });
  expect(lines.at(-1)).toMatchObject({ msg: 'a fault of our own', queue: 'crm' });
  expect(await value('sluice_faults_total{kind="redis"}')).toBe(100);
});

test('after faults of Redis its first answer is a line, and no other', () => {
  const { telemetry, lines } = open();
  telemetry.redisAnswered();
  telemetry.fault('bug', new Error('a bug'), {});
  telemetry.redisAnswered();
  telemetry.fault('redis', new Error('connection lost'), {});
  telemetry.redisAnswered();
  telemetry.redisAnswered();
  expect(lines.map(({ level, msg }) => [level, msg]).slice(2)).toEqual([['info', 'Redis answers again']]);
});

test('leases that are lost together are one line', async () => {
  const { telemetry, lines } = open();
  for (const shard of [0, 3]) telemetry.lost(shard);
  await new Promise((resolve) => setImmediate(resolve));
  telemetry.lost(2);
  await new Promise((resolve) => setImmediate(resolve));
  expect(lines.map(({ level, shards }) => [level, shards])).toEqual([
    ['warn', [0, 3]],
    ['warn', [2]],
  ]);
});
