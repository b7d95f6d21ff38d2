/** The rows, in the order of DESIGN.md's section 6. */
import type { Row } from './row.ts';
import { batches } from './rows/batches.ts';
import { singleCalls } from './rows/single-calls.ts';

export const rows: readonly Row[] = [singleCalls, batches];
