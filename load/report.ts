/** What the bench prints and keeps. */
import { mkdirSync, writeFileSync } from 'node:fs';
import type { describeMachine } from './machine.ts';
import { type Finding, type Found, type Goal, judgedValue, meetsGoal } from './row.ts';

/** With so much of the machine used by others, figures say little. */
const disturbingShare = 0.05;

const headings = ['', 'Sluice', 'beside it', 'ratio', 'goal', ''];

export function formatTable(findings: readonly Found[]): string {
  const lines = formatColumns([headings, ...findings.map(toCells)]);
  const notes = findings.flatMap(({ name, note }) => (note === undefined ? [] : [`  ${name}: ${note}`]));
  return [lines, ...(notes.length > 0 ? ['', ...notes] : [])].join('\n');
}

/** Lines of cells, each column as wide as its widest cell. */
export function formatColumns(lines: readonly (readonly string[])[]): string {
  const columns = Math.max(...lines.map((cells) => cells.length));
  const widths = Array.from({ length: columns }, (_, column) => Math.max(...lines.map((cells) => cells[column]?.length ?? 0)));
  const format = (cells: readonly string[]) =>
    cells
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd();
  return lines.map(format).join('\n');
}

/** One line for each finding that misses its goal, or one that says that none does. */
export function formatVerdict(findings: readonly Found[]): string {
  const short = findings.filter((finding) => !meetsGoal(finding));
  if (short.length === 0) return `all ${findings.length} goals are met`;
  const lines = short.map((finding) => `  ${labelOf(finding)}: ${formatNumber(judgedValue(finding))}, goal ${formatGoal(finding)}`);
  return [`${short.length} of ${findings.length} fall short:`, ...lines].join('\n');
}

/** Writes `<time>.json` into the folder and gives its path. */
export function writeResults(
  folder: string,
  machine: ReturnType<typeof describeMachine>,
  run: { quick: boolean; rounds: number },
  findings: readonly Found[],
): string {
  mkdirSync(folder, { recursive: true });
  const at = new Date().toISOString();
  const file = `${folder}${at.slice(0, 19).replaceAll(':', '-')}.json`;
  const rows = findings.map((finding) => ({ ...finding, judged_value: judgedValue(finding), is_met: meetsGoal(finding) }));
  writeFileSync(file, `${JSON.stringify({ at, machine, run, rows }, undefined, 2)}\n`);
  return file;
}

/** Rows that something else on the machine disturbed; undefined where none was. */
export function formatDisturbance(findings: readonly Found[]): string | undefined {
  const disturbed = findings.filter(({ othersShare }) => othersShare > disturbingShare);
  if (disturbed.length === 0) return undefined;
  const worst = Math.max(...disturbed.map(({ othersShare }) => othersShare));
  const names = [...new Set(disturbed.map(({ name }) => name))].join(', ');
  return `DISTURBED: other programs used up to ${Math.round(worst * 100)} % of the machine during ${names}; take these again in quiet`;
}

function toCells(finding: Finding): string[] {
  const { name, unit, sluice, beside = [] } = finding;
  return [
    name,
    `${formatNumber(sluice)} ${unit}`,
    beside.map((each) => `${each.name} ${formatNumber(each.value)}`).join(', '),
    beside.map((each) => formatNumber(sluice / each.value)).join(', '),
    formatGoal(finding),
    meetsGoal(finding) ? 'met' : 'SHORT',
  ];
}

const labelOf = ({ name, judged, beside }: Finding) => (judged === 'ratio' ? `${name}, against ${beside?.[0]?.name}` : name);

function formatGoal({ goal, judged, unit }: Finding): string {
  const suffix = judged === 'ratio' ? ' ×' : ` ${unit}`;
  return formatBound(goal) + suffix;
}

function formatBound({ atLeast, atMost }: Goal): string {
  return atLeast === undefined ? `≤ ${formatNumber(atMost ?? Number.NaN)}` : `≥ ${formatNumber(atLeast)}`;
}

/** Three digits that mean something. */
function formatNumber(value: number): string {
  if (Math.abs(value) >= 1_000) return Math.round(value).toLocaleString('en-US');
  return String(Number(value.toPrecision(3)));
}
