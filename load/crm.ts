/**
 * The CRM figures (`node scripts/bench.mjs --crm`): how much of HubSpot's limit is used, what 100,000 updates cost with batch calls and
 * without, and what becomes of creates whose answers are lost. Everything goes through the API and real workers to the simulated CRMs.
 * It fails on a limit that was passed or not used, on any operation or record that is not as foretold, and on any duplicate.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { type LimitUse, measureLimitUse } from './crm/limit-use.ts';
import { type LostAnswersResult, type LostAnswersVariant, measureLostAnswers } from './crm/lost-answers.ts';
import { measureUpdates, type UpdatesResult, type UpdateVariant } from './crm/updates.ts';
import { describeMachine } from './machine.ts';
import { watchOthers } from './process-cost.ts';
import { formatColumns } from './report.ts';

/** The bundle lies in .sluice/bench/. */
const resultsFolder = fileURLToPath(new URL('../../load/results/', import.meta.url));
const parts = ['limit', 'updates', 'answers'] as const;
const leastUse = 0.95;

const alone = { batch: { max_records: 1 } };
/** Of a size at which enough of them are lost. */
const smallBatches = { batch: { max_records: 10 } };
/** 2,000 of 100,000 updates, the default, and as great a part of fewer. */
const jobShare = 50;
const withoutJobs = { options: { bulk_threshold: 0 } };

function updateVariants(updates: number): UpdateVariant[] {
  const tenth = updates / 10;
  return [
    { name: 'Salesforce, bulk jobs', crm: 'salesforce', updates, provider: { options: { bulk_threshold: updates / jobShare } } },
    { name: 'Salesforce, collections of 200', crm: 'salesforce', updates, provider: withoutJobs },
    { name: 'Salesforce, one by one', crm: 'salesforce', updates: tenth, provider: { ...alone, ...withoutJobs } },
    { name: 'HubSpot, batches of 100', crm: 'hubspot', updates, provider: {} },
    { name: 'HubSpot, one by one', crm: 'hubspot', updates: tenth, provider: alone },
  ];
}

function lostAnswerVariants(creates: number): LostAnswersVariant[] {
  const externalId = { options: { external_id_field: 'External_Id__c' } };
  const recordId = { options: { record_id_property: 'sluice_record_id' } };
  return [
    { name: 'Salesforce, one by one', crm: 'salesforce', creates, provider: alone },
    { name: 'Salesforce, batches of 10', crm: 'salesforce', creates, provider: smallBatches },
    { name: 'Salesforce, external id', crm: 'salesforce', creates, provider: { ...alone, ...externalId } },
    { name: 'HubSpot, one by one', crm: 'hubspot', creates, provider: alone },
    { name: 'HubSpot, batches of 10', crm: 'hubspot', creates, provider: smallBatches },
    { name: 'HubSpot, property of our id', crm: 'hubspot', creates, provider: { ...alone, ...recordId } },
    { name: 'Outreach', crm: 'outreach', creates, provider: {} },
  ];
}

async function inTurn<V, R extends { readonly variant: string }>(
  variants: readonly V[],
  measure: (variant: V) => Promise<R>,
): Promise<R[]> {
  const results: R[] = [];
  for (const variant of variants) {
    const result = await measure(variant);
    results.push(result);
    console.error(`  ${JSON.stringify(result)}`);
  }
  return results;
}

const verdict = (isMet: boolean) => (isMet ? 'met' : 'SHORT');
const whole = (value: number) => Math.round(value).toLocaleString('en-US');
const percent = (share: number) => `${(share * 100).toFixed(1)} %`;

const isLimitMet = ({ use, refused }: LimitUse) => use >= leastUse && refused === 0;
const isUpdatesMet = ({ areFinal, wrongStatuses, wrongRecords }: UpdatesResult) => areFinal && wrongStatuses + wrongRecords === 0;
const isAnswersMet = ({ areFinal, statuses, creates, duplicates, wrongLinks, records }: LostAnswersResult) =>
  areFinal && statuses['succeeded'] === creates && records === creates && duplicates + wrongLinks === 0;

function limitTable(results: readonly LimitUse[]): string[][] {
  const heading = ["HubSpot's limit, 4 workers", 'used', 'rounds of 100 calls', 'fullest 10 s', '429s', 'operations/s', ''];
  const rows = results.map((each) => {
    const rounds = each.rounds.map(percent).join(', ');
    const figures = [percent(each.use), rounds, whole(each.fullestWindow), whole(each.refused), whole(each.operationsPerSecond)];
    return [each.variant, ...figures, verdict(isLimitMet(each))];
  });
  return [heading, ...rows];
}

function updatesTable(results: readonly UpdatesResult[]): string[][] {
  const heading = [
    'updates, 1 % bad',
    'operations',
    'calls',
    'jobs',
    'operations/s',
    'bad',
    'dead-lettered',
    'wrong ends',
    'wrong records',
    '',
  ];
  const rows = results.map((each) => {
    const figures = [each.updates, each.calls, each.jobs, each.operationsPerSecond, each.bad, each.statuses['dead_lettered'] ?? 0];
    return [each.variant, ...[...figures, each.wrongStatuses, each.wrongRecords].map(whole), verdict(isUpdatesMet(each))];
  });
  return [heading, ...rows];
}

function answersTable(results: readonly LostAnswersResult[]): string[][] {
  const heading = [
    'creates, 5 % of answers lost',
    'creates',
    'calls',
    'cut',
    'repeated creates',
    'records',
    'duplicates',
    'wrong links',
    '',
  ];
  const rows = results.map((each) => {
    const figures = [
      each.creates,
      each.calls,
      each.cut,
      each.repeatedOperations,
      each.repeatedCreates,
      each.records,
      each.duplicates,
      each.wrongLinks,
    ];
    return [each.variant, ...figures.map(whole), verdict(isAnswersMet(each))];
  });
  return [heading, ...rows];
}

function readOptions() {
  const options = { crm: { type: 'boolean' }, quick: { type: 'boolean' }, only: { type: 'string' } } as const;
  const { values } = parseArgs({ args: process.argv.slice(2), options });
  const only = values.only?.split(',') ?? [...parts];
  const unknown = only.filter((name) => !parts.some((part) => part === name));
  if (unknown.length > 0) throw new Error(`--only takes ${parts.join(', ')}; not ${unknown.join(', ')}`);
  return { isQuick: values.quick ?? false, only };
}

async function main(): Promise<void> {
  if (process.platform !== 'linux') throw new Error('the bench runs on Linux only');
  const { isQuick, only } = readOptions();
  const machine = describeMachine();
  const othersShare = watchOthers();
  const limit = only.includes('limit') ? await inTurn([1, 100], measureLimitUse) : [];
  const updates = only.includes('updates') ? await inTurn(updateVariants(isQuick ? 5_000 : 100_000), measureUpdates) : [];
  const answers = only.includes('answers') ? await inTurn(lostAnswerVariants(isQuick ? 300 : 2_000), measureLostAnswers) : [];
  const tables = [
    limit.length > 0 && limitTable(limit),
    updates.length > 0 && updatesTable(updates),
    answers.length > 0 && answersTable(answers),
  ];
  for (const table of tables) if (table) console.log(`\n${formatColumns(table)}`);
  const others = othersShare();
  // Without a lost answer nothing was shown.
  const haveAnswersLost = answers.length === 0 || answers.some(({ cut }) => cut > 0);
  const hasPassed = limit.every(isLimitMet) && updates.every(isUpdatesMet) && answers.every(isAnswersMet) && haveAnswersLost;
  console.log(`\n${hasPassed ? 'passed' : 'FAILED'}; other programs used ${percent(others)} of the machine`);
  mkdirSync(resultsFolder, { recursive: true });
  const at = new Date().toISOString();
  const file = `${resultsFolder}${at.slice(0, 19).replaceAll(':', '-')}-crm.json`;
  const run = { quick: isQuick, only, others_share: others, has_passed: hasPassed };
  writeFileSync(file, `${JSON.stringify({ at, machine, run, limit, updates, answers }, undefined, 2)}\n`);
  console.log(`written to ${file}`);
  if (!hasPassed) process.exitCode = 1;
}

await main();
