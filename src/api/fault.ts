/** What a thrown error means to the caller: an outage of Redis is 503 and may be tried again; anything else is a bug of ours. */
import { type Problem, type ProblemCode, ProblemError, problem } from '../shared/domain/problem.ts';
import type { Logger } from '../shared/telemetry/logger.ts';
import type { Metrics } from '../shared/telemetry/metrics.ts';
import { isRedisOutage, sayOutage } from './redis-outage.ts';

/** Without a request's id where several requests share what failed. */
export type JudgeFault = (error: unknown, context: { requestId?: string; route: string }) => Problem;

/** What a thrown error is to the caller. */
export function faultCode(error: unknown): ProblemCode {
  if (error instanceof ProblemError) return error.problem.code;
  return isRedisOutage(error) ? 'unavailable' : 'internal';
}

/** In an outage every request fails in the same way: one line a second says so. */
const outageLogIntervalMs = 1_000;

export function createJudgeFault(deps: { logger: Logger; metrics: Pick<Metrics, 'faults'>; now: () => number }): JudgeFault {
  const { logger, metrics, now } = deps;
  let loggedAt = Number.NEGATIVE_INFINITY;
  let unlogged = 0;
  return (error, { requestId, route }) => {
    if (error instanceof ProblemError) return error.problem;
    const code = faultCode(error);
    const isOutage = code === 'unavailable';
    metrics.faults.inc({ kind: isOutage ? 'redis' : 'bug' });
    if (!isOutage) {
      logger.error({ err: error, request_id: requestId, route }, 'a request failed by a fault of ours');
      return problem(code);
    }
    const what = sayOutage(error);
    unlogged += 1;
    if (now() - loggedAt >= outageLogIntervalMs) {
      logger.warn({ err: error, request_id: requestId, route, failed_requests: unlogged }, what);
      loggedAt = now();
      unlogged = 0;
    }
    return problem(code, { detail: what });
  };
}
