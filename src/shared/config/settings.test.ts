import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { parseSettings, SettingsError, settingTable, summarizeSettings } from './settings.ts';

function problemsOf(env: Record<string, string>): readonly string[] {
  try {
    parseSettings(env);
  } catch (error) {
    if (error instanceof SettingsError) return error.problems;
    throw error;
  }
  return [];
}

describe('parseSettings', () => {
  it('fills in every default for an empty environment, and freezes the result', () => {
    const settings = parseSettings({});
    expect(settings).toMatchObject({
      port: 8080,
      host: '127.0.0.1',
      shards: 16,
      leaseTtlMs: 10_000,
      maxBacklog: 1_000_000,
      allowAnonymous: false,
    });
    expect(settings.apiKeys).toBeUndefined();
    expect(Object.isFrozen(settings)).toBe(true);
  });

  it('takes what the environment says', () => {
    const key = Buffer.alloc(32, 7);
    const settings = parseSettings({
      PORT: '0',
      SLUICE_SHARDS: '64',
      SLUICE_ALLOW_PRIVATE_NETWORKS: 'true',
      SLUICE_ENCRYPTION_KEY: key.toString('base64'),
    });
    expect(settings).toMatchObject({ port: 0, shards: 64, allowPrivateNetworks: true });
    expect(settings.encryptionKey?.equals(key)).toBe(true);
  });

  it('counts an empty value as not set', () => {
    expect(parseSettings({ SLUICE_SHARDS: '', SLUICE_API_KEYS: ' ' })).toMatchObject({ shards: 16, apiKeys: undefined });
  });

  it('lists all problems at once, each with the name and what was expected', () => {
    const problems = problemsOf({ SLUICE_SHARDS: '0', PORT: '80a', SLUICE_DRAIN: '1', SLUICE_ALLOW_ANONYMOUS: 'maybe' });
    expect(problems).toHaveLength(4);
    expect(problems.join('\n')).toMatch(/SLUICE_DRAIN: .*SLUICE_DRAIN_MS\?/);
    expect(problems.join('\n')).toMatch(/SLUICE_SHARDS: expected a whole number from 1 to 1024, got "0"/);
    expect(problems.join('\n')).toMatch(/PORT: expected a whole number/);
  });

  it('refuses numbers that are nearly numbers', () => {
    for (const text of ['1e3', '0x10', '-1', '1.5', '010', 'NaN', 'Infinity', '99999999999999999999']) {
      expect(problemsOf({ SLUICE_WINDOW: text }), text).toHaveLength(1);
    }
  });

  it.each(['foo', 'http://x', 'redis://h:port'])('refuses %j as the address of a Redis, with its name', (text) => {
    expect(problemsOf({ REDIS_URL: text })).toEqual([expect.stringMatching(/^REDIS_URL: expected redis:\/\/host:port/)]);
  });

  it('shows no secret in a problem', () => {
    expect(problemsOf({ SLUICE_ENCRYPTION_KEY: 'hunter2hunter2' }).join()).not.toContain('hunter2');
    expect(problemsOf({ REDIS_URL: 'http://:hunter2@x' }).join()).not.toContain('hunter2');
  });

  it('leaves alone what Kubernetes adds for a service called sluice-api', () => {
    const links = {
      SLUICE_API_SERVICE_HOST: '10.0.0.1',
      SLUICE_API_SERVICE_PORT: '8080',
      SLUICE_API_PORT: 'tcp://10.0.0.1:8080',
      SLUICE_API_PORT_8080_TCP_ADDR: '10.0.0.1',
      SLUICE_SERVICE_PORT_HTTP: '80',
    };
    expect(problemsOf(links)).toEqual([]);
    expect(problemsOf({ SLUICE_API_PORT: '8080' })).toHaveLength(1);
  });
});

describe('summarizeSettings', () => {
  it('shows values by their environment names and no secret', () => {
    const settings = parseSettings({
      REDIS_URL: 'redis://me:hunter2@one:1,redis://:hunter2@two:2',
      SLUICE_API_KEYS: '[{"id":"hunter2"}]',
      SLUICE_ENCRYPTION_KEY: Buffer.alloc(32, 7).toString('base64'),
    });
    const summary = summarizeSettings(settings);
    expect(summary).toMatchObject({
      PORT: 8080,
      REDIS_URL: 'redis://***@one:1,redis://***@two:2',
      SLUICE_API_KEYS: '***',
      SLUICE_ENCRYPTION_KEY: '***',
    });
    expect(JSON.stringify(summary)).not.toContain('hunter2');
  });
});

describe('docs/configuration.md', () => {
  it('has a row for every setting with its default, reader and meaning, and no other', () => {
    const page = readFileSync(new URL('../../../docs/configuration.md', import.meta.url), 'utf8');
    const rows = page.split('\n').filter((line) => line.startsWith('| `'));
    const expected = Object.values(settingTable).map((setting) => {
      const defaultText = setting.defaultText === undefined ? 'none' : `\`${setting.defaultText}\``;
      return `| \`${setting.name}\` | ${defaultText} | ${setting.readBy} | ${setting.parser.expected} | ${setting.meaning} |`;
    });
    expect(rows.sort()).toEqual(expected.sort());
  });
});
