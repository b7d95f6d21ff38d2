/**
 * The kind `http`: any service with JSON over HTTP. The adapter owns the connections and the credentials of one provider; what is
 * written and how an answer is read is its protocol's affair (one call for each operation, or batches).
 */
import type { ProviderConfig } from '../../../shared/providers/config.ts';
import type { AdapterDeps } from '../adapter-deps.ts';
import { outcomeWithoutAnswer } from '../answers.ts';
import type { Authentication, Credentials } from '../auth.ts';
import { createAuthentication } from '../authentication.ts';
import { createHttpClient, type HttpResult } from '../http-call.ts';
import { createKeeping } from '../kept.ts';
import { createPayloadMapper } from '../payload.ts';
import type { CallGuard, CallOutcome, InFlight, PreparedCall, ProviderAdapter } from '../provider.ts';
import { readRetryAfterMs } from '../retry-after.ts';
import { createSessions, type Session } from '../session.ts';
import { createGuardedConnector } from '../ssrf-guard.ts';
import { createBatchProtocol } from './batch.ts';
import type { Answer, Answered, Protocol } from './protocol.ts';
import { createSingleProtocol } from './single.ts';

/** Answers are small; what is longer is a mistake or an attack. */
const minAnswerBytes = 1024 * 1024;
/** A record that was read may be as long as the data of an operation that wrote it (`maxDataBytes` of the API). */
const maxRecordBytes = 64 * 1024;
/** Calls in flight hold their answers in memory. */
const maxAnswerBytes = 16 * 1024 * 1024;
/** Read so far so that secrets are masked before the text is cut to its few kilobytes. */
const keepFailureBytes = 64 * 1024;

type Done = (outcomes: readonly CallOutcome[]) => void;

export function createHttpAdapter(config: ProviderConfig, deps: AdapterDeps): ProviderAdapter {
  const { network, resolve, clock } = deps;
  const connect = createGuardedConnector({ resolve, network, connectTimeoutMs: config.timeoutMs });
  const auth = createAuthentication(config, deps, connect);
  const protocol = createProtocol(config);
  const sessions = createSessions();
  const client = createHttpClient({
    origin: new URL(config.baseUrl).origin,
    connect,
    maxConnections: config.maxConcurrency,
    timeoutMs: config.timeoutMs,
    maxAnswerBytes: maxAnswerBytesFor(protocol.maxBatch),
    keepFailureBytes,
    monotonicMs: clock.monotonicMs,
  });

  function dispatch(credentials: Credentials, calls: readonly PreparedCall[], guard: CallGuard, done: Done): InFlight {
    const session = sessions(credentials);
    return client.start(protocol.request(calls, session), guard, (result) => done(outcomesOf(result, credentials, session, calls)));
  }

  function outcomesOf(
    result: HttpResult,
    credentials: Credentials,
    session: Session,
    calls: readonly PreparedCall[],
  ): readonly CallOutcome[] {
    if (result.status === 'answered') {
      const outcomes = protocol.outcomes(calls, toAnswer(result, credentials, session));
      return outcomes.map(createKeeping(session.mask));
    }
    const outcome = outcomeWithoutAnswer(result);
    return calls.map(() => outcome);
  }

  function toAnswer(result: Answered, credentials: Credentials, { mask }: Session): Answer {
    const { status, code, headers, isWhole } = result;
    const text = isWhole ? result.text : mask.apply(result.text, false);
    const retryAfterMs = code >= 400 ? readRetryAfterMs(headers, clock.nowMs()) : undefined;
    if (code === 401)
      return { status, code, headers, text, isWhole, retryAfterMs, refusal: { kind: 'auth', code: auth.onUnauthorized(credentials) } };
    if (code !== 403) auth.onAccepted(credentials);
    return { status, code, headers, text, isWhole, retryAfterMs, refusal: undefined };
  }

  return {
    maxBatch: protocol.maxBatch,
    batchWaitMs: protocol.batchWaitMs,
    // An operation of a batch says itself what it is.
    canShareBatch: () => true,
    prepare: (call) => protocol.prepare(call),
    send(calls, guard, done) {
      const credentials = auth.current();
      if (credentials) return dispatch(credentials, calls, guard, done);
      return sendLater(auth, calls, done, (obtained) => dispatch(obtained, calls, guard, done));
    },
    async close() {
      await Promise.all([auth.close(), client.close()]);
    },
  };
}

function createProtocol(config: ProviderConfig): Protocol {
  const mapper = createPayloadMapper(config);
  const { batch } = config;
  if (batch?.path === undefined) return createSingleProtocol(config, mapper);
  return createBatchProtocol(config, mapper, {
    path: batch.path,
    maxRecords: batch.maxRecords,
    maxWaitMs: batch.maxWaitMs,
    maxAnswerBytes: maxAnswerBytesFor(batch.maxRecords),
  });
}

function maxAnswerBytesFor(records: number): number {
  return Math.min(Math.max(minAnswerBytes, records * maxRecordBytes), maxAnswerBytes);
}

/** First the token, then the call. Until the call is on its way, cutting it leaves it unsent. */
function sendLater(
  auth: Authentication,
  calls: readonly PreparedCall[],
  done: Done,
  dispatch: (credentials: Credentials) => InFlight,
): InFlight {
  let inFlight: InFlight | undefined;
  let isOver = false;
  const end = (outcome: CallOutcome) => {
    isOver = true;
    done(calls.map(() => outcome));
  };
  void auth.obtain().then((obtained) => {
    if (isOver) return;
    if (obtained.status === 'obtained') inFlight = dispatch(obtained.credentials);
    else if (obtained.status === 'failed') end({ status: 'failed', error: obtained.error });
    else end({ status: 'unsent', reason: obtained.reason });
  });
  return {
    abort(reason) {
      if (inFlight) inFlight.abort(reason);
      else if (!isOver) end({ status: 'unsent', reason });
    },
  };
}
