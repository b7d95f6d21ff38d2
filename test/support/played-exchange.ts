/** Plays a provider to a dialect: answers from a list or by a function, and the requests it got. For tests that need no connection. */
import type { Exchange, ExchangeAnswer, ExchangeReply, ExchangeRequest } from '../../src/worker/providers/exchange.ts';

export type Answering = (request: ExchangeRequest, index: number) => ExchangeReply | Promise<ExchangeReply>;

export interface PlayedExchange extends Exchange {
  readonly requests: readonly ExchangeRequest[];
}

interface Extras {
  readonly headers?: Readonly<Record<string, string>>;
  readonly retryAfterMs?: number;
}

/** `body`: a text as it is, anything else as JSON. */
export function answered(code: number, body?: unknown, { headers = {}, retryAfterMs }: Extras = {}): ExchangeAnswer {
  const text = body === undefined ? '' : typeof body === 'string' ? body : JSON.stringify(body);
  return {
    status: 'answered',
    code,
    text,
    isWhole: true,
    retryAfterMs,
    header: (name) => headers[name],
    json() {
      try {
        return JSON.parse(text);
      } catch {
        return undefined;
      }
    },
  };
}

/** No further request may be made. */
export const unsent: ExchangeReply = { status: 'ended', outcome: { status: 'unsent', reason: 'no permit' } };

/** The request was sent, and the connection ended before the answer. */
export const lost: ExchangeReply = {
  status: 'ended',
  outcome: { status: 'failed', error: { kind: 'ambiguous', code: 'connection_lost', message: 'the connection ended' } },
};

/** A list has to be used up in its order: one request more throws. */
export function createPlayedExchange(answers: readonly ExchangeReply[] | Answering, nowMs = 1_750_000_000_000): PlayedExchange {
  const requests: ExchangeRequest[] = [];
  const answer: Answering =
    typeof answers === 'function'
      ? answers
      : (request, index) => {
          const reply = answers[index];
          if (!reply) throw new Error(`no answer for ${request.method} ${request.path}`);
          return reply;
        };
  return {
    requests,
    request(request) {
      requests.push(request);
      return Promise.resolve(answer(request, requests.length - 1));
    },
    nowMs: () => nowMs,
    wait: () => Promise.resolve(true),
  };
}
