/**
 * When we last wrote to a record, by Salesforce's clock. Protecting foreign edits takes a record's last change for somebody else's if it is
 * later than the operation; an operation that waited while an earlier one of its record was written is older than that writing, which was
 * ours. What came before our last write need not be looked at again: that write had a condition of its own.
 *
 * In a worker's memory only: where it is lost (a takeover, a record crowded out), an operation that had waited is refused as if the edit were
 * foreign, which loses nothing.
 */
import { keyOf } from './job-table.ts';

export interface OwnWrites {
  /** Epoch milliseconds; undefined where it is not known. */
  lastMs(id: string): number | undefined;
  note(id: string, atMs: number): void;
}

/** About 100 bytes each. */
const usualMax = 20_000;

export function createOwnWrites(max = usualMax): OwnWrites {
  const lastById = new Map<string, number>();
  return {
    lastMs: (id) => lastById.get(keyOf(id, false)),
    note(id, atMs) {
      const key = keyOf(id, false);
      // To the end of the order in which they are crowded out.
      lastById.delete(key);
      lastById.set(key, atMs);
      const [oldest] = lastById.keys();
      if (lastById.size > max && oldest !== undefined) lastById.delete(oldest);
    },
  };
}
