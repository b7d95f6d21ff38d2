/** Tells an outage of Redis from a bug: the first is the caller's business (503, try again), the second is ours. */
import { AcceptedTooLate } from '../shared/queue/submit.ts';

const outageReplies =
  /\b(OOM|READONLY|LOADING|CLUSTERDOWN|MASTERDOWN|NOAUTH|WRONGPASS|NOPERM|TRYAGAIN|NOREPLICAS|MISCONF|BUSY|MOVED|ASK|NOMASTERLINK)\b/;
const outageNames = new Set(['MaxRetriesPerRequestError', 'ClusterAllFailedError', 'AbortError', 'InterruptError']);
const outageMessages =
  /Connection is closed|Command timed out|Command aborted|Stream isn't writeable|Too many Cluster redirections|Failed to refresh slots cache|Cluster isn't ready|None of startup nodes|max(imum)? number of clients/i;
const socketCodes = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'EPIPE',
  'ETIMEDOUT',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'NR_CLOSED',
]);

export function isRedisOutage(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  if (error instanceof AcceptedTooLate) return true;
  if (outageNames.has(error.name) || socketCodes.has((error as { code?: string }).code ?? '')) return true;
  if (error.name === 'ReplyError') return outageReplies.test(error.message);
  return outageMessages.test(error.message) || outageReplies.test(error.message.slice(0, 16));
}

/** What is the matter with Redis, for people: for the log, and for callers, so nothing of the error itself. */
export function sayOutage(error: unknown): string {
  if (!(error instanceof Error)) return 'Redis does not answer';
  if (/\bOOM\b/.test(error.message)) return 'Redis is full';
  return error.name === 'ReplyError' ? 'Redis refuses commands now' : 'Redis does not answer';
}
