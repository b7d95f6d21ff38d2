/** The command line of `npm run bench -- ...`. */
import { parseArgs } from 'node:util';

export interface Options {
  /** Names of rows; undefined means all. */
  readonly rows: readonly string[] | undefined;
  readonly rounds: number;
  readonly scale: number;
  readonly isProfiled: boolean;
}

export const usage = `npm run bench -- [--rows <names>] [--quick] [--rounds <n>] [--profile] | --kill-run | --crm
  --rows     only these, by name, separated by commas
  --quick    one round of shorter trials: an idea, not a result
  --rounds   trials of each variant (default 3)
  --kill-run not the table: 100,000 operations while workers are killed (load/kill-workers.ts)
  --crm      not the table: the simulated CRMs (load/crm.ts); takes --quick and --only limit,updates,answers
  --profile  writes CPU profiles of the workers of rows single and batch to load/results/`;

const quickScale = 0.4;

/** Undefined where the arguments make no sense. */
export function parseOptions(args: readonly string[], known: readonly string[]): Options | undefined {
  try {
    const { values } = parseArgs({
      args: [...args],
      options: { rows: { type: 'string' }, quick: { type: 'boolean' }, rounds: { type: 'string' }, profile: { type: 'boolean' } },
    });
    const isQuick = values.quick ?? false;
    const rounds = values.rounds === undefined ? (isQuick ? 1 : 3) : Number(values.rounds);
    const rows = values.rows?.split(',').map((name) => name.trim());
    if (!Number.isInteger(rounds) || rounds < 1) return undefined;
    if (rows?.some((name) => !known.includes(name))) return undefined;
    return { rows, rounds, scale: isQuick ? quickScale : 1, isProfiled: values.profile ?? false };
  } catch {
    return undefined;
  }
}
