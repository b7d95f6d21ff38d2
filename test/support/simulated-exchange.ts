/** A simulated CRM in the test's own process, as a dialect calls it: no socket, no token to fetch, a clock of the test's own. */
import type { ExchangeReply, ExchangeRequest } from '../../src/worker/providers/exchange.ts';
import { answered, lost } from './played-exchange.ts';

type Ending =
  | {
      readonly with: 'reply';
      readonly reply: {
        readonly status: number;
        readonly headers?: Readonly<Record<string, string>>;
        readonly body?: unknown;
        readonly text?: string;
      };
    }
  | { readonly with: 'cut' | 'nothing' };

/** Path, method, headers and body, sent to the simulator. */
export type Asking = (
  target: string,
  asked: { method: string; text: string; headers: Readonly<Record<string, string>> },
) => Promise<Ending>;

/** Answers requests as the simulator does; a connection that is cut, or not answered, is a lost answer. */
export function askSimulator(ask: Asking): (request: ExchangeRequest) => Promise<ExchangeReply> {
  return async ({ method, path, headers = {}, body, contentType = 'application/json', isRead }) => {
    const text = body === undefined ? '' : typeof body === 'string' ? body : JSON.stringify(body);
    const ending = await ask(path, { method, text, headers: { 'content-type': contentType, ...headers } });
    if (ending.with !== 'reply') return isRead ? answered(500) : lost;
    const { status, headers: told = {}, body: json, text: page } = ending.reply;
    const seconds = told['retry-after'];
    const pause = seconds === undefined ? {} : { retryAfterMs: Number(seconds) * 1_000 };
    return answered(status, page ?? json, { headers: told, ...pause });
  };
}
