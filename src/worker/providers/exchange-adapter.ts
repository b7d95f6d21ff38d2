/**
 * Adapters of several requests: what all of them have in common. A dialect says what is asked and what the answers mean (exchange.ts);
 * connections, credentials, permits, limits of size and time, and masking are here.
 *
 * What always holds: `done` comes exactly once and never before `send` has returned, with one outcome for each call, whatever the dialect
 * does; a call that was in doubt stays in doubt until an attempt has found out.
 *
 * A dialect that rejects has a bug. Its calls fail as `adapter_fault`: that charges an attempt, so that an operation that meets the bug
 * every time ends as a dead letter with the bug's own words, and it is ambiguous where something was written. Rejected: leaving
 * them unsent, which charges nobody, would repeat them without end, writes included.
 */
import type { ProviderConfig } from '../../shared/providers/config.ts';
import type { AdapterDeps } from './adapter-deps.ts';
import { createApiClients } from './api-clients.ts';
import { createAuthentication } from './authentication.ts';
import type { Dialect, DialectFactory } from './exchange.ts';
import { ExchangeRun, type ExchangeRunDeps } from './exchange-run.ts';
import type { Call, CallOutcome, PreparedCall, ProviderAdapter } from './provider.ts';
import { createSessions } from './session.ts';
import { createGuardedConnector } from './ssrf-guard.ts';

/** Results of bulk jobs and reads of whole batches are large. */
const maxAnswerBytes = 16 * 1024 * 1024;
/** Holds an error for each record of the largest batch call. */
const keepFailureBytes = 64 * 1024;

/** Throws where the dialect cannot be made from this configuration. */
export function createExchangeAdapter(config: ProviderConfig, deps: AdapterDeps, createDialect: DialectFactory): ProviderAdapter {
  const { network, resolve, clock } = deps;
  const dialect = createDialect(config);
  const connect = createGuardedConnector({ resolve, network, connectTimeoutMs: config.timeoutMs });
  const auth = createAuthentication(config, deps, connect);
  const clients = createApiClients({
    connect,
    maxConnections: config.maxConcurrency,
    timeoutMs: config.timeoutMs,
    maxAnswerBytes,
    keepFailureBytes,
    monotonicMs: clock.monotonicMs,
  });
  const runDeps: ExchangeRunDeps = {
    auth,
    apiOf: ({ instanceUrl }) => clients.at(instanceUrl ?? config.baseUrl),
    sessionOf: createSessions(),
    budgetsOf: (answer, nowMs) => dialect.budgetsOf?.(answer, nowMs) ?? [],
    nowMs: clock.nowMs,
    maxAnswerBytes,
  };
  const runs = new Set<ExchangeRun>();
  let isClosed = false;

  return {
    maxBatch: dialect.maxBatch,
    bulk: dialect.bulk,
    batchWaitMs: dialect.batchWaitMs,
    canShareBatch: (a, b) => dialect.canShareBatch(a, b),
    prepare: (call) => dialect.prepare(call),
    send(calls, guard, done) {
      const run = new ExchangeRun(guard, runDeps);
      runs.add(run);
      if (isClosed) run.abort('closed');
      void carryOut(dialect, calls, run).then((outcomes) => {
        runs.delete(run);
        if (run.budgets.length > 0) done(outcomes, run.budgets);
        else done(outcomes);
      });
      return run;
    },
    async close() {
      isClosed = true;
      for (const run of runs) run.abort('closed');
      await Promise.all([auth.close(), clients.close()]);
    },
  };
}

/** Never rejects, and never ends within the turn it was called in. */
async function carryOut(dialect: Dialect, calls: readonly PreparedCall[], run: ExchangeRun): Promise<readonly CallOutcome[]> {
  try {
    const outcomes = await dialect.carryOut(calls, run);
    if (outcomes.length !== calls.length) throw new Error(`${outcomes.length} outcomes for ${calls.length} calls`);
    return run.keep(outcomes.map((outcome, index) => keepDoubt((calls[index] as PreparedCall).call, outcome)));
  } catch (error) {
    const outcome = faultOf(error, run);
    return run.keep(calls.map(({ call }) => keepDoubt(call, outcome)));
  }
}

function faultOf(error: unknown, run: ExchangeRun): CallOutcome {
  const words = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  return {
    status: 'failed',
    error: {
      kind: run.hasWritten ? 'ambiguous' : 'transient',
      code: 'adapter_fault',
      message: `the adapter failed: ${words}`,
    },
  };
}

const passingKinds: ReadonlySet<string> = new Set(['rate_limited', 'transient', 'auth', 'ambiguous']);

/** Unless the dialect itself says whether the doubt is over. */
function keepDoubt(call: Call, outcome: CallOutcome): CallOutcome {
  if (!call.isInDoubt || outcome.status !== 'failed' || outcome.error.isInDoubt !== undefined) return outcome;
  if (!passingKinds.has(outcome.error.kind)) return outcome;
  return { status: 'failed', error: { ...outcome.error, isInDoubt: true } };
}
