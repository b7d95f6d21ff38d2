import { readFileSync } from 'node:fs';
import { afterEach, describe, expect, it } from 'vitest';
import { countCommands, createMetrics, type Metrics } from './metrics.ts';

let metrics: Metrics | undefined;
function open(options?: { maxProviders?: number }): Metrics {
  metrics = createMetrics(options);
  return metrics;
}
afterEach(() => metrics?.close());

describe('createMetrics', () => {
  it('names every metric sluice_..., each with a help text', async () => {
    const text = await open().expose();
    const names = [...text.matchAll(/^# TYPE (\S+)/gm)].map((match) => match[1] as string);
    expect(names.length).toBeGreaterThan(25);
    expect(names.filter((name) => !/^sluice_[a-z_]+$/.test(name))).toEqual([]);
    for (const name of names) expect(text).toMatch(new RegExp(`^# HELP ${name} \\S.{10,}`, 'm'));
  });

  it('shows what bound children counted', async () => {
    const { boundCounter, operations, operationSeconds, expose } = open();
    const succeeded = boundCounter(operations, { provider: 'crm', operation: 'update', outcome: 'succeeded' });
    succeeded.add();
    succeeded.add(4);
    const seconds = operationSeconds.child({ provider: 'crm' });
    for (let index = 0; index < 600; index += 1) seconds.observe(0.02);
    seconds.observe(5_000);
    const text = await expose();
    expect(text).toContain('sluice_operations_total{provider="crm",operation="update",outcome="succeeded"} 5');
    expect(text).toContain('sluice_operation_seconds_bucket{le="0.01",provider="crm"} 0');
    expect(text).toContain('sluice_operation_seconds_bucket{le="0.025",provider="crm"} 600');
    expect(text).toContain('sluice_operation_seconds_bucket{le="+Inf",provider="crm"} 601');
    expect(text).toContain('sluice_operation_seconds_count{provider="crm"} 601');
    expect(await expose()).toContain('outcome="succeeded"} 5');
  });

  it('gives providers past the bound one label', () => {
    const { providerLabel } = open({ maxProviders: 2 });
    expect(['a', 'b', 'c', 'a', 'd'].map(providerLabel)).toEqual(['a', 'b', 'other', 'a', 'other']);
  });

  it('counts the commands of a client and passes them on', async () => {
    const { boundCounter, redisCommands, expose } = open();
    const client = { sent: [] as string[], sendCommand: (command: string) => client.sent.push(command) };
    countCommands(client, boundCounter(redisCommands, {}));
    client.sendCommand('ping');
    client.sendCommand('time');
    expect(client.sent).toEqual(['ping', 'time']);
    expect(await expose()).toContain('sluice_redis_commands_total 2');
  });
});

interface Shown {
  readonly labelNames?: readonly string[];
  get(): Promise<{ name: string; type: string; help: string }>;
}

describe('docs/metrics.md', () => {
  it('has a row for every metric with its type, labels and meaning, and no other', async () => {
    const page = readFileSync(new URL('../../../docs/metrics.md', import.meta.url), 'utf8');
    const expected = open()
      .registry.getMetricsAsArray()
      .map(async (metric) => {
        const shown = metric as unknown as Shown;
        const { name, type, help } = await shown.get();
        const { labelNames = [] } = shown;
        return `| \`${name}\` | ${type} | ${labelNames.map((label) => `\`${label}\``).join(', ') || 'none'} | ${help} |`;
      });
    expect(
      page
        .split('\n')
        .filter((line) => line.startsWith('| `'))
        .sort(),
    ).toEqual((await Promise.all(expected)).sort());
  });
});
