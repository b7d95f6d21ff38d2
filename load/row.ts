/** What a row of the bench measures and says. */
import type { Pace } from './rounds.ts';

export interface RowContext extends Pace {
  /** Where a worker's CPU profile goes; without it, none is taken. */
  readonly profileDir: string | undefined;
  /** Rows that compare with BullMQ leave it out where it could not be installed. */
  readonly hasBullmq: boolean;
}

export interface Goal {
  readonly atLeast?: number;
  readonly atMost?: number;
}

export interface Beside {
  readonly name: string;
  readonly value: number;
}

/** One comparison, or one figure, with its goal. */
export interface Finding {
  readonly name: string;
  readonly unit: string;
  readonly sluice: number;
  /** What was measured beside it, in the same turns. */
  readonly beside?: readonly Beside[];
  /** What the goal is about: Sluice's figure divided by the first one beside it, or Sluice's figure alone. */
  readonly judged: 'ratio' | 'figure';
  readonly goal: Goal;
  /** Every trial's figure, by variant, in order. */
  readonly trials: Readonly<Record<string, readonly number[]>>;
  readonly note?: string;
}

export interface Row {
  /** What `--rows` selects it by. */
  readonly names: readonly string[];
  measure(context: RowContext): Promise<readonly Finding[]>;
}

/** A finding with what disturbed it: the share of the machine that other programs used meanwhile, 0 to 1. */
export interface Found extends Finding {
  readonly othersShare: number;
}

/** What the goal is about, as a number. */
export function judgedValue({ judged, sluice, beside = [] }: Finding): number {
  return judged === 'figure' ? sluice : sluice / (beside[0]?.value ?? Number.NaN);
}

/** A figure that is not a number meets nothing. */
export function meetsGoal(finding: Finding): boolean {
  const { atLeast = Number.NEGATIVE_INFINITY, atMost = Number.POSITIVE_INFINITY } = finding.goal;
  const value = judgedValue(finding);
  return value >= atLeast && value <= atMost;
}
