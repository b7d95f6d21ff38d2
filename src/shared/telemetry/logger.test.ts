import { describe, expect, it } from 'vitest';
import { createLogger } from './logger.ts';

function capture(write: (logger: ReturnType<typeof createLogger>) => void): Record<string, unknown>[] {
  const lines: string[] = [];
  const logger = createLogger({ level: 'info', name: 'test', destination: { write: (line: string) => void lines.push(line) } });
  write(logger);
  return lines.map((line) => JSON.parse(line) as Record<string, unknown>);
}

describe('createLogger', () => {
  it('writes one JSON line with the ids it was given', () => {
    const [line] = capture((logger) => logger.info({ operation_id: '3.a.b.crm', provider: 'crm', shard: 3 }, 'settled'));
    expect(line).toMatchObject({ level: 'info', name: 'test', operation_id: '3.a.b.crm', provider: 'crm', shard: 3, msg: 'settled' });
  });

  it('shows no secret, at the depths our lines have', () => {
    const secrets = {
      auth_config: { token: 'hunter2' },
      headers: { authorization: 'Bearer hunter2', 'x-api-key': 'hunter2' },
      provider: { auth_config: { type: 'bearer', token: 'hunter2' } },
      request: { headers: { authorization: 'hunter2', 'x-api-key': 'hunter2' } },
    };
    const [line] = capture((logger) => logger.info(secrets, 'configured'));
    expect(JSON.stringify(line)).not.toContain('hunter2');
    expect(JSON.stringify(line)).toContain('***');
  });

  it('writes an error without the command that failed and without credentials in its text', () => {
    const error = Object.assign(new Error('connect redis://me:hunter2@host:1 failed, Authorization: Bearer hunter2hunter2'), {
      command: { name: 'evalsha', args: ['a record’s data'] },
      code: 'ECONNREFUSED',
      cause: new Error('below'),
    });
    const [line] = capture((logger) => logger.error({ err: error }, 'failed'));
    expect(line).toMatchObject({ err: { code: 'ECONNREFUSED', cause: { message: 'below' } } });
    expect(JSON.stringify(line)).not.toContain('hunter2');
    expect(JSON.stringify(line)).not.toContain('record’s data');
  });
});
