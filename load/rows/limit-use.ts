/**
 * DESIGN.md, section 6, row 13: how much of a provider's limit four workers use while there is work, and how often they pass it. The
 * provider is the strictest there is: it refuses the call that would be one too many in any window, by its own clock.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { providerConfig, startFeeder } from '../calls-trial.ts';
import type { ProviderCommands } from '../programs/instant-provider.ts';
import { interleave } from '../rounds.ts';
import type { Row } from '../row.ts';
import { onStage } from '../stage.ts';
import { median } from '../statistics.ts';

const requests = 200;
const perMs = 2_000;
const workers = 4;
/** The first windows belong to the start: workers come one after the other. Refusals count from the first call on. */
const settleWindows = 2;
const countedWindows = 5;

interface LimitResult {
  /** 0 to 1. */
  readonly use: number;
  readonly refused: number;
}

function tryLimit(windows: number): Promise<LimitResult> {
  return onStage(async (stage) => {
    const provider = stage.program<ProviderCommands>('instant-provider');
    const port = await provider.ask('listen', { kind: 'limited', requests, perMs });
    const redis = await stage.redis();
    const feeder = await startFeeder(stage, redis);
    await feeder.ask('register', [{ ...providerConfig('p', port, 1), limits: [{ requests, per: `${perMs / 1_000}s` }] }]);
    // Half as much again as could be called meanwhile.
    const operations = Math.round(requests * (settleWindows + windows + 2) * 1.5);
    await feeder.ask('feed', { providers: ['p'], operations, from: 0 });
    await Promise.all(Array.from({ length: workers }, () => stage.worker(redis)));
    await provider.ask('reach', 1);
    await delay(settleWindows * perMs);
    const begin = await provider.ask('count');
    await delay(windows * perMs);
    const end = await provider.ask('count');
    const allowed = (requests * (end.atMs - begin.atMs)) / perMs;
    return { use: (end.operations - begin.operations) / allowed, refused: end.refused };
  });
}

export const limitUse: Row = {
  names: ['limit'],
  async measure(context) {
    const windows = Math.max(2, Math.round(countedWindows * context.scale));
    const { sluice: results = [] } = await interleave(context, { sluice: () => tryLimit(windows) });
    const uses = results.map(({ use }) => use * 100);
    const refusals = results.map(({ refused }) => refused);
    const note = `${workers} workers, ${requests} calls in any ${perMs / 1_000} s`;
    return [
      {
        name: "use of a provider's limit",
        unit: '%',
        sluice: median(uses),
        judged: 'figure',
        goal: { atLeast: 97 },
        trials: { uses },
        note,
      },
      {
        name: 'calls past the limit',
        unit: 'refused',
        sluice: Math.max(...refusals),
        judged: 'figure',
        goal: { atMost: 0 },
        trials: { refusals },
        note: 'the worst trial, from the first call on',
      },
    ];
  },
};
