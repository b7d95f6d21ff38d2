/** The faults that a simulated provider can be told to have, and what they do to a single call. */
import { z } from 'zod';
import type { SimulatedItem, ToldFailure } from './simulated-provider.ts';

const rate = z.number().min(0).max(1);

export const faultsSchema = z.strictObject({
  /** Waited before anything else is done. */
  latency_ms: z.number().min(0).max(600_000).default(0),
  /** Share of calls answered with `status` and not carried out. */
  error_rate: rate.default(0),
  status: z.int().min(400).max(599).default(503),
  /** The provider's own name of the error, where `status` alone does not say which. */
  code: z.string().max(128).optional(),
  message: z.string().max(1_024).optional(),
  /**
   * Share of calls that are carried out, and then answered with `status` by a gateway: a page that says nothing of them. `code` and `message`
   * are not in it.
   */
  applied_error_rate: rate.default(0),
  /** Seconds or an HTTP date, sent as `Retry-After` with the answers of both. */
  retry_after: z.union([z.number().min(0), z.string().max(64)]).optional(),
  /** Share of calls that are carried out and whose connection is then cut: the caller cannot know. */
  drop_rate: rate.default(0),
  /** Calls are neither carried out nor answered. */
  hang: z.boolean().default(false),
  /** Only calls for these records fail; in a batch, only their items. */
  record_ids: z.array(z.string()).max(10_000).optional(),
  /** A batch that holds one of `record_ids` is refused as a whole. */
  whole_batch: z.boolean().default(false),
  /** Only calls that hold one of these operations are struck, such as `create`. */
  operations: z.array(z.string()).max(16).optional(),
  /** Calls for tokens are struck too. */
  token_calls: z.boolean().default(false),
  /** So many calls or items are struck, then no more. */
  times: z.int().min(1).max(1_000_000).optional(),
});

export type Faults = z.infer<typeof faultsSchema>;

export const noFaults: Faults = faultsSchema.parse({});

export type Verdict =
  | { readonly does: 'apply' }
  | { readonly does: 'apply_and_drop' }
  | { readonly does: 'apply_and_fail'; readonly status: number; readonly retryAfter: string | undefined }
  | { readonly does: 'hang' }
  | { readonly does: 'refuse'; readonly failure: ToldFailure; readonly retryAfter: string | undefined };

/** What becomes of a call on the given items. `random` gives numbers in [0, 1). */
export function judge(
  faults: Faults,
  { isBatch, items }: { isBatch: boolean; items: readonly SimulatedItem[] },
  random: () => number,
): Verdict {
  if (faults.operations !== undefined && !items.some((item) => faults.operations?.includes(item.operation))) return { does: 'apply' };
  if (faults.record_ids !== undefined && !items.some((item) => isNamed(faults, item))) return { does: 'apply' };
  if (faults.hang) return { does: 'hang' };
  const strikesItemsOnly = faults.record_ids !== undefined && isBatch && !faults.whole_batch;
  if (!strikesItemsOnly && random() < faults.error_rate) {
    return { does: 'refuse', failure: failureOf(faults), retryAfter: faults.retry_after?.toString() };
  }
  if (random() < faults.applied_error_rate) {
    return { does: 'apply_and_fail', status: faults.status, retryAfter: faults.retry_after?.toString() };
  }
  return random() < faults.drop_rate ? { does: 'apply_and_drop' } : { does: 'apply' };
}

/** The failure of one item of a batch, or undefined. */
export function judgeItem(faults: Faults, item: SimulatedItem, random: () => number): ToldFailure | undefined {
  if (faults.operations !== undefined && !faults.operations.includes(item.operation)) return undefined;
  return isNamed(faults, item) && random() < faults.error_rate ? failureOf(faults) : undefined;
}

function isNamed({ record_ids }: Faults, { recordId, aliases = [] }: SimulatedItem): boolean {
  return record_ids !== undefined && [recordId, ...aliases].some((name) => record_ids.includes(name));
}

function failureOf({ status, code, message }: Faults): ToldFailure {
  return { status, code, message };
}
