/** The bench: rows in order, a table, a verdict, a file. Started by scripts/bench.mjs, which bundles it. */
import { fileURLToPath } from 'node:url';
import { bullmqVersion, installBullmq } from './bullmq.ts';
import { describeMachine } from './machine.ts';
import { parseOptions, usage } from './options.ts';
import { watchOthers } from './process-cost.ts';
import { formatDisturbance, formatTable, formatVerdict, writeResults } from './report.ts';
import type { Found, RowContext } from './row.ts';
import { rows } from './rows.ts';

/** The bundle lies in .sluice/bench/. */
const resultsFolder = fileURLToPath(new URL('../../load/results/', import.meta.url));

async function main(): Promise<void> {
  const names = rows.flatMap((row) => row.names);
  const options = parseOptions(process.argv.slice(2), names);
  if (!options) {
    console.error(`${usage}\n  rows: ${names.join(' ')}`);
    process.exitCode = 1;
    return;
  }
  if (process.platform !== 'linux') throw new Error('the bench reads CPU time and memory from /proc: it runs on Linux only');
  const machine = describeMachine();
  console.log(`${machine.cores} × ${machine.cpu}, Node ${machine.node}, ${machine.redis}, load ${machine.load_average.toFixed(2)}`);
  const problem = installBullmq();
  if (problem !== undefined) console.log(`BullMQ ${bullmqVersion} could not be installed; its comparisons are left out:\n${problem}`);

  const selected = rows.filter((row) => !options.rows || row.names.some((name) => options.rows?.includes(name)));
  const findings: Found[] = [];
  for (const row of selected) {
    const say = (text: string) => console.error(`  ${row.names.join(', ')}: ${text}`);
    const context: RowContext = {
      rounds: options.rounds,
      scale: options.scale,
      profileDir: options.isProfiled ? resultsFolder : undefined,
      hasBullmq: problem === undefined,
      say,
    };
    const othersShare = watchOthers();
    const measured = await row.measure(context);
    const share = othersShare();
    findings.push(...measured.map((finding) => ({ ...finding, othersShare: share })));
  }
  console.log(`\n${formatTable(findings)}\n\n${formatVerdict(findings)}`);
  const disturbance = formatDisturbance(findings);
  if (disturbance !== undefined) console.log(`\n${disturbance}`);
  const file = writeResults(resultsFolder, machine, { quick: options.scale < 1, rounds: options.rounds }, findings);
  console.log(`\nwritten to ${file}`);
}

await main();
