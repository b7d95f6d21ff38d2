import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { finalStatuses, type OperationStatus } from './operation.ts';

/** Complete by its type. */
const isFinal: Record<OperationStatus, boolean> = {
  queued: false,
  processing: false,
  retrying: false,
  succeeded: true,
  coalesced: true,
  stale: true,
  dead_lettered: true,
  cancelled: true,
};

test('docs/operations.md has a row for every status, says which are final, and has no other', () => {
  const page = readFileSync(new URL('../../../docs/operations.md', import.meta.url), 'utf8');
  const rows = [...page.matchAll(/^\| `([a-z_]+)` \| (yes|no) \| \S/gm)].map(([, status, final]) => [status, final === 'yes']);
  expect(Object.fromEntries(rows)).toEqual(isFinal);
  const final = Object.entries(isFinal).filter(([, yes]) => yes);
  expect(final.map(([status]) => status).sort()).toEqual([...finalStatuses].sort());
});
