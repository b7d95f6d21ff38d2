/** One HTTP call for each operation. */
import type { OperationKind } from '../../../shared/domain/operation.ts';
import type { ProviderError } from '../../../shared/domain/provider-error.ts';
import type { ProviderConfig } from '../../../shared/providers/config.ts';
import { parseJson, toError } from '../answers.ts';
import { maxResultBytes } from '../kept.ts';
import type { PayloadMapper } from '../payload.ts';
import type { CallOutcome, Preparation } from '../provider.ts';
import { classifyStatus, createTimestampFormatter, idOf } from './answers.ts';
import type { Answer, Protocol } from './protocol.ts';
import { createRoutes } from './routes.ts';

interface Body {
  readonly path: string;
  readonly json: string | null;
  readonly timestamp: string;
}

/** Receivers may answer a create with the whole record, of which the id is wanted. */
const maxCreateBytes = 256 * 1024;

export function createSingleProtocol(config: ProviderConfig, mapper: PayloadMapper): Protocol {
  const routes = createRoutes(config);
  const formatTimestamp = createTimestampFormatter();

  return {
    maxBatch: 1,
    batchWaitMs: 0,

    prepare(call): Preparation {
      const path = routes[call.kind].path(call);
      if (typeof path !== 'string') return { status: 'refused', error: path };
      const timestamp = formatTimestamp(call.timestampMs);
      if (timestamp === undefined) return { status: 'refused', error: undatable };
      if (call.dataJson === undefined)
        return { status: 'prepared', prepared: { call, body: { path, json: null, timestamp } satisfies Body } };
      const mapped = mapper.map(call.kind, call.dataJson, call.kind === 'create' ? call.recordId : undefined);
      if (mapped.status === 'refused') return mapped;
      return { status: 'prepared', prepared: { call, body: { path, json: mapped.json, timestamp } satisfies Body } };
    },

    request(calls, session) {
      const [prepared] = calls;
      if (!prepared) throw new Error('a call has one operation');
      const { path, json, timestamp } = prepared.body as Body;
      const { kind, idempotencyKey } = prepared.call;
      const common = json === null ? session.headers : session.bodyHeaders;
      const headers = [...common, 'idempotency-key', idempotencyKey, 'x-record-timestamp', timestamp];
      return { method: routes[kind].method, path, headers, body: json, keepBytes: keepBytesOf(kind) };
    },

    outcomes(calls, answer) {
      return calls.map(({ call }) => outcomeOf(call.kind, answer));
    },
  };
}

function keepBytesOf(kind: OperationKind): number {
  if (kind === 'create') return maxCreateBytes;
  return kind === 'read' ? maxResultBytes : 0;
}

function outcomeOf(kind: OperationKind, answer: Answer): CallOutcome {
  const meaning = answer.refusal ?? classifyStatus(kind, answer.code);
  if (meaning !== 'accepted') {
    return { status: 'failed', error: toError(meaning, answer.code, answer.text, answer.retryAfterMs) };
  }
  if (kind === 'create') return acceptedCreate(answer);
  if (kind === 'read') return { status: 'accepted', providerStatus: answer.code, ...readResult(answer) };
  return acceptedPlain(answer.code);
}

function acceptedCreate(answer: Answer): CallOutcome {
  const id = answer.isWhole && answer.text !== '' ? idOf(parseJson(answer.text)) : undefined;
  return { status: 'accepted', providerStatus: answer.code, ...(id === undefined ? {} : { providerRecordId: id }) };
}

function readResult({ text, isWhole }: Answer): { result?: unknown } {
  if (text === '') return {};
  if (!isWhole) return { result: { truncated: true, text } };
  const value = parseJson(text);
  return { result: value === undefined ? text : value };
}

const accepted200: CallOutcome = { status: 'accepted', providerStatus: 200 };

function acceptedPlain(status: number): CallOutcome {
  return status === 200 ? accepted200 : { status: 'accepted', providerStatus: status };
}

const undatable: ProviderError = { kind: 'invalid', code: 'invalid_request', message: 'the timestamp is out of range' };
