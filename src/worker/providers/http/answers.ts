/** What is particular to the answers of a provider of the kind `http`: batches use it for each record. */
import type { OperationKind } from '../../../shared/domain/operation.ts';
import { type Refusal, refusalOfStatus } from '../answers.ts';

/** `accepted`, or how the status refuses. What is gone already need not be deleted. */
export function classifyStatus(kind: OperationKind, status: number): 'accepted' | Refusal {
  if (status >= 200 && status < 300) return 'accepted';
  return status === 404 && kind === 'delete' ? 'accepted' : refusalOfStatus(status);
}

const maxIdLength = 255;

/** The `id` of a JSON object, as a text; undefined where there is none that could be kept. */
export function idOf(value: unknown): string | undefined {
  const id = typeof value === 'object' && value !== null ? (value as { id?: unknown }).id : undefined;
  const text = typeof id === 'number' && Number.isFinite(id) ? String(id) : id;
  return typeof text === 'string' && text !== '' && text.length <= maxIdLength ? text : undefined;
}

/** RFC 3339, kept for a run of operations of the same instant. */
export function createTimestampFormatter(): (ms: number) => string | undefined {
  let lastMs = Number.NaN;
  let lastText: string | undefined;
  return (ms) => {
    if (ms === lastMs) return lastText;
    // The range of a date: 100 million days to either side (ECMA-262, 21.4.1.1).
    lastText = Math.abs(ms) <= 8.64e15 ? new Date(ms).toISOString() : undefined;
    lastMs = ms;
    return lastText;
  };
}
