/** The faults that a simulated provider can be told to have, and what they do to a single call. */
import { z } from 'zod';

const rate = z.number().min(0).max(1);

export const faultsSchema = z.strictObject({
  /** Waited before anything else is done. */
  latency_ms: z.number().min(0).max(600_000).default(0),
  /** Share of calls answered with `status` and not carried out. */
  error_rate: rate.default(0),
  status: z.int().min(400).max(599).default(503),
  /** Seconds or an HTTP date, sent as `Retry-After` with those answers. */
  retry_after: z.union([z.number().min(0), z.string().max(64)]).optional(),
  /** Share of calls that are carried out and whose connection is then cut: the caller cannot know. */
  drop_rate: rate.default(0),
  /** Calls are neither carried out nor answered. */
  hang: z.boolean().default(false),
  /** Only calls for these records fail; in a batch, only their items. */
  record_ids: z.array(z.string()).max(10_000).optional(),
  /** A batch that holds one of `record_ids` is refused as a whole. */
  whole_batch: z.boolean().default(false),
});

export type Faults = z.infer<typeof faultsSchema>;

export const noFaults: Faults = faultsSchema.parse({});

export type Verdict =
  | { readonly does: 'apply' }
  | { readonly does: 'apply_and_drop' }
  | { readonly does: 'hang' }
  | { readonly does: 'refuse'; readonly status: number; readonly retryAfter: string | undefined };

/** What becomes of a call on the given records. `random` gives numbers in [0, 1). */
export function judge(
  faults: Faults,
  { isBatch, recordIds }: { isBatch: boolean; recordIds: readonly string[] },
  random: () => number,
): Verdict {
  const isStruck = faults.record_ids === undefined || recordIds.some((id) => faults.record_ids?.includes(id));
  if (!isStruck) return { does: 'apply' };
  if (faults.hang) return { does: 'hang' };
  const strikesItemsOnly = faults.record_ids !== undefined && isBatch && !faults.whole_batch;
  if (!strikesItemsOnly && random() < faults.error_rate) return { does: 'refuse', status: faults.status, retryAfter: retryAfter(faults) };
  return random() < faults.drop_rate ? { does: 'apply_and_drop' } : { does: 'apply' };
}

/** The status with which one item of a batch fails, or undefined. */
export function judgeItem(faults: Faults, recordId: string, random: () => number): number | undefined {
  return faults.record_ids?.includes(recordId) && random() < faults.error_rate ? faults.status : undefined;
}

function retryAfter(faults: Faults): string | undefined {
  return faults.retry_after === undefined ? undefined : String(faults.retry_after);
}
