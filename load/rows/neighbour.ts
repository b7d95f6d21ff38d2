/** DESIGN.md, section 6, row 14: what a healthy provider feels of another one that never answers and whose backlog is full. */
import { providerConfig } from '../calls-trial.ts';
import { type DeliveryScene, tryDelivery } from '../delivery-trial.ts';
import type { ProviderCommands } from '../programs/instant-provider.ts';
import { interleave } from '../rounds.ts';
import type { Row } from '../row.ts';
import { median } from '../statistics.ts';

const perSecond = 500;
const backlog = 50_000;
/** Short, so that time-outs, retries and the breaker are in the trial too. */
const timeoutMs = 1_000;

async function addHangingProvider({ stage, feeder }: DeliveryScene): Promise<void> {
  const port = await stage.program<ProviderCommands>('instant-provider').ask('listen', { kind: 'never' });
  await feeder.ask('register', [{ ...providerConfig('hangs', port, 1), max_concurrency: 50, timeout_ms: timeoutMs }]);
  await feeder.ask('feed', { providers: ['hangs'], operations: backlog, from: 0 });
}

export const neighbour: Row = {
  names: ['neighbour'],
  async measure(context) {
    const trial = {
      perSecond,
      warmUpMs: 3_000,
      countedMs: 6_000 * context.scale,
      apiSettings: { SLUICE_MAX_BACKLOG: String(backlog) },
    };
    const results = await interleave(context, {
      sluice: () => tryDelivery({ ...trial, prepare: addHangingProvider }),
      'without it': () => tryDelivery(trial),
    });
    const trials = Object.fromEntries(Object.entries(results).map(([name, taken]) => [name, taken.map(({ p99 }) => p99)]));
    const beside = [{ name: 'without it', value: median(trials['without it'] ?? []) }];
    const sluice = median(trials['sluice'] ?? []);
    const note = `p99 of ${perSecond} operations a second; the other one has ${backlog.toLocaleString('en-US')} queued, its bound, and never answers`;
    return [{ name: 'beside a provider that hangs', unit: 'ms', sluice, beside, judged: 'ratio', goal: { atMost: 1.3 }, trials, note }];
  },
};
