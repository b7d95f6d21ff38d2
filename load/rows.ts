/** The rows, in the order of DESIGN.md's section 6. */
import type { Row } from './row.ts';
import { acceptArrays } from './rows/accept-arrays.ts';
import { acceptSingle } from './rows/accept-single.ts';
import { batches } from './rows/batches.ts';
import { flatCost } from './rows/flat-cost.ts';
import { fullLoad } from './rows/full-load.ts';
import { idle } from './rows/idle.ts';
import { lightLoad } from './rows/light-load.ts';
import { limitUse } from './rows/limit-use.ts';
import { memory } from './rows/memory.ts';
import { neighbour } from './rows/neighbour.ts';
import { redisBytes } from './rows/redis-bytes.ts';
import { singleCalls } from './rows/single-calls.ts';

export const rows: readonly Row[] = [
  singleCalls,
  batches,
  acceptSingle,
  acceptArrays,
  fullLoad,
  lightLoad,
  idle,
  memory,
  redisBytes,
  flatCost,
  limitUse,
  neighbour,
];
