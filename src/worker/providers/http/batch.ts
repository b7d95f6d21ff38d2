/**
 * Many operations in one call, as in the contract: `POST {batch.path}` with `{"operations": [...]}`, answered by `{"results": [...]}` in
 * the same order. The body is put together from texts when it is sent, each operation's data as it came. An answer whose results
 * do not match the operations one by one says nothing about any of them. A refusal of the whole batch is marked as such; taking the
 * batch apart is the engine's affair.
 */
import type { ProviderConfig } from '../../../shared/providers/config.ts';
import { parseJson, type Refusal, rejected, toError } from '../answers.ts';
import { jsonText } from '../json-members.ts';
import type { PayloadMapper } from '../payload.ts';
import type { Call, CallOutcome, Preparation, PreparedCall } from '../provider.ts';
import { classifyStatus, createTimestampFormatter, idOf } from './answers.ts';
import type { Answer, Protocol } from './protocol.ts';
import { basePathOf } from './routes.ts';

export interface BatchOptions {
  readonly path: string;
  readonly maxRecords: number;
  readonly maxWaitMs: number;
  readonly maxAnswerBytes: number;
}

export function createBatchProtocol(config: ProviderConfig, mapper: PayloadMapper, options: BatchOptions): Protocol {
  const path = basePathOf(config.baseUrl) + options.path;
  const formatTimestamp = createTimestampFormatter();

  return {
    maxBatch: options.maxRecords,
    batchWaitMs: options.maxWaitMs,

    prepare(call): Preparation {
      if (formatTimestamp(call.timestampMs) === undefined) {
        return { status: 'refused', error: { kind: 'invalid', code: 'invalid_request', message: 'the timestamp is out of range' } };
      }
      if (call.dataJson === undefined) return { status: 'prepared', prepared: { call, body: undefined } };
      const mapped = mapper.map(call.kind, call.dataJson, undefined);
      return mapped.status === 'refused' ? mapped : { status: 'prepared', prepared: { call, body: mapped.json } };
    },

    request(calls, session) {
      let body = '{"operations":[';
      for (let index = 0; index < calls.length; index += 1) {
        const { call, body: json } = calls[index] as PreparedCall;
        body += (index === 0 ? '' : ',') + toItem(call, formatTimestamp(call.timestampMs) as string, json as string | undefined);
      }
      return { method: 'POST', path, headers: [...session.bodyHeaders], body: `${body}]}`, keepBytes: options.maxAnswerBytes };
    },

    outcomes(calls, answer) {
      const meaning = answer.refusal ?? classifyWhole(answer.code);
      if (meaning === 'accepted') return readResults(calls, answer) ?? calls.map(() => unreadable);
      const error = toError(meaning, answer.code, answer.text, answer.retryAfterMs);
      const isWholeBatch = answer.code >= 400 && (meaning.kind === 'invalid' || meaning.kind === 'conflict');
      const outcome: CallOutcome = { status: 'failed', error: isWholeBatch ? { ...error, isWholeBatch } : error };
      return calls.map(() => outcome);
    },
  };
}

const plainText = /^[A-Za-z0-9_.:@ -]*$/;
const quote = (text: string) => (plainText.test(text) ? `"${text}"` : JSON.stringify(text));

/** `operation_id` is what receivers tell repetitions by, so it is the idempotency key: it stays the same for a repeated call. */
function toItem(call: Call, timestamp: string, dataJson: string | undefined): string {
  const head = `{"operation_id":${quote(call.idempotencyKey)},"operation":"${call.kind}","entity":${quote(call.entity)},"record_id":${quote(call.recordId)}`;
  return dataJson === undefined ? `${head},"timestamp":"${timestamp}"}` : `${head},"data":${dataJson},"timestamp":"${timestamp}"}`;
}

/** "Not there" is said of the batch's address here, never of a record. */
function classifyWhole(status: number): 'accepted' | Refusal {
  const meaning = classifyStatus('update', status);
  return meaning !== 'accepted' && meaning.kind === 'gone' ? rejected : meaning;
}

interface Result {
  readonly status: number;
  readonly id?: unknown;
  readonly error?: unknown;
  /** Of a read. */
  readonly data?: unknown;
}

/** Undefined unless there is one proper result for each operation. */
function readResults(calls: readonly PreparedCall[], answer: Answer): CallOutcome[] | undefined {
  const parsed = answer.isWhole ? (parseJson(answer.text) as { results?: unknown } | null | undefined) : undefined;
  const results = parsed?.results;
  if (!Array.isArray(results) || results.length !== calls.length || !results.every(isResult)) return undefined;
  return results.map((result, index) => outcomeOf((calls[index] as PreparedCall).call, result));
}

function isResult(value: unknown): value is Result {
  const status = typeof value === 'object' && value !== null ? (value as { status?: unknown }).status : undefined;
  return typeof status === 'number' && Number.isInteger(status) && status >= 200 && status < 600;
}

const accepted200: CallOutcome = { status: 'accepted', providerStatus: 200 };

function outcomeOf(call: Call, result: Result): CallOutcome {
  const meaning = classifyStatus(call.kind, result.status);
  if (meaning !== 'accepted') return { status: 'failed', error: toError(meaning, result.status, describe(result.error)) };
  const id = idOf(result);
  const read = call.kind === 'read' && result.data !== undefined ? { result: result.data } : undefined;
  if (id === undefined && !read && result.status === 200) return accepted200;
  return { status: 'accepted', providerStatus: result.status, ...(id === undefined ? {} : { providerRecordId: id }), ...read };
}

function describe(error: unknown): string {
  if (error === undefined || error === null) return '';
  return typeof error === 'string' ? error : (jsonText(error) ?? '');
}

const unreadable: CallOutcome = {
  status: 'failed',
  error: { kind: 'ambiguous', code: 'malformed_batch_answer', message: 'the answer does not have one result for each operation' },
};
