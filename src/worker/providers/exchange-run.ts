/**
 * One `send` under way, as its dialect sees it: requests one after the other, each with credentials and a permit of its own.
 *
 * Credentials come before the permit, which is good for a moment only; they are looked at again after it, because waiting for one may
 * take long. Everything that waits here (for credentials, a permit, an answer, a pause) ends at once when the exchange is cut, and
 * nothing more is sent; what the dialect makes of it still counts.
 */
import { outcomeWithoutAnswer, parseJson, toError } from './answers.ts';
import type { Api } from './api-clients.ts';
import type { Authentication, Credentials } from './auth.ts';
import type { Exchange, ExchangeAnswer, ExchangeReply, ExchangeRequest } from './exchange.ts';
import type { HttpRequest, HttpResult } from './http-call.ts';
import { createKeeping } from './kept.ts';
import type { Mask } from './masking.ts';
import type { Budget, CallGuard, CallOutcome, InFlight, SendGuard } from './provider.ts';
import { readHeader, readRetryAfterMs } from './retry-after.ts';
import type { Session } from './session.ts';

export interface ExchangeRunDeps {
  readonly auth: Authentication;
  /** Where these credentials are good. */
  apiOf(credentials: Credentials): Api;
  sessionOf(credentials: Credentials): Session;
  budgetsOf(answer: ExchangeAnswer, nowMs: number): readonly Budget[];
  /** Epoch milliseconds. */
  readonly nowMs: () => number;
  /** How much of an answer other than a failure is kept. */
  readonly maxAnswerBytes: number;
}

type Ended = Extract<ExchangeReply, { status: 'ended' }>;
type Ready = { readonly status: 'ready'; readonly credentials: Credentials };

export class ExchangeRun implements Exchange, InFlight {
  /** Whether something that may change the provider's data has been written. */
  hasWritten = false;
  readonly #budgets = new Map<number, Budget>();
  readonly #guard: SendGuard;
  readonly #deps: ExchangeRunDeps;
  readonly #cuts = new Set<(reason: string) => void>();
  #isFirst = true;
  #cutReason: string | undefined;
  readonly #masks = new Set<Mask>();

  constructor(guard: SendGuard, deps: ExchangeRunDeps) {
    this.#guard = guard;
    this.#deps = deps;
  }

  /** What the answers said of the account's limits: the last word on each. */
  get budgets(): readonly Budget[] {
    return [...this.#budgets.values()];
  }

  /** What is kept of the outcomes: all credentials that were used are masked. */
  keep(outcomes: readonly CallOutcome[]): readonly CallOutcome[] {
    const masks = [...this.#masks];
    const mask: Mask = {
      apply: (text, isWhole) => masks.reduce((masked, each) => each.apply(masked, isWhole), text),
      isTold: (text) => masks.some((each) => each.isTold(text)),
    };
    return outcomes.map(createKeeping(mask));
  }

  nowMs(): number {
    return this.#deps.nowMs();
  }

  abort(reason: string): void {
    this.#cutReason ??= reason;
    for (const cut of [...this.#cuts]) cut(this.#cutReason);
  }

  wait(ms: number): Promise<boolean> {
    if (this.#cutReason !== undefined) return Promise.resolve(false);
    return new Promise((resolve) => {
      const end = (isOver: boolean) => {
        clearTimeout(timer);
        this.#cuts.delete(onCut);
        resolve(isOver);
      };
      const onCut = () => end(false);
      const timer = setTimeout(() => end(true), ms);
      this.#cuts.add(onCut);
    });
  }

  async request(request: ExchangeRequest): Promise<ExchangeReply> {
    const ahead = await this.#obtain();
    if (ahead.status === 'ended') return ahead;
    const guard = await this.#nextGuard();
    if (!guard) return this.#unsent('there is no permit for a further request');
    const ready = await this.#obtain();
    if (ready.status === 'ended') return ready;
    const session = this.#deps.sessionOf(ready.credentials);
    this.#masks.add(session.mask);
    const result = await this.#start(request, ready.credentials, session, guard);
    if (!request.isRead && (result.status === 'answered' || result.status === 'lost')) this.hasWritten = true;
    if (result.status === 'answered') return this.#toReply(result, ready.credentials, session.mask);
    return { status: 'ended', outcome: outcomeOf(result, request.isRead === true) };
  }

  async #obtain(): Promise<Ready | Ended> {
    if (this.#cutReason !== undefined) return this.#unsent(this.#cutReason);
    const current = this.#deps.auth.current();
    if (current) return { status: 'ready', credentials: current };
    const obtained = await this.#unlessCut(this.#deps.auth.obtain());
    if (!obtained) return this.#unsent('cut');
    if (obtained.status === 'obtained') return { status: 'ready', credentials: obtained.credentials };
    if (obtained.status === 'failed') return { status: 'ended', outcome: { status: 'failed', error: obtained.error } };
    return this.#unsent(obtained.reason);
  }

  #nextGuard(): Promise<CallGuard | undefined> {
    const isFirst = this.#isFirst;
    this.#isFirst = false;
    return isFirst ? Promise.resolve(this.#guard) : this.#unlessCut(this.#guard.nextRequest());
  }

  /** The exchange's being cut is the better reason, where it was. */
  #unsent(reason: string): Ended {
    return { status: 'ended', outcome: { status: 'unsent', reason: this.#cutReason ?? reason } };
  }

  #unlessCut<T>(promise: Promise<T>): Promise<T | undefined> {
    return new Promise((resolve, reject) => {
      const onCut = () => resolve(undefined);
      this.#cuts.add(onCut);
      promise.then(resolve, reject).finally(() => this.#cuts.delete(onCut));
    });
  }

  #start(request: ExchangeRequest, credentials: Credentials, session: Session, guard: CallGuard): Promise<HttpResult> {
    const { client, basePath } = this.#deps.apiOf(credentials);
    const written = toHttpRequest(request, basePath, session, this.#deps.maxAnswerBytes);
    return new Promise((resolve) => {
      const onCut = (reason: string) => inFlight.abort(reason);
      const inFlight = client.start(written, guard, (result) => {
        this.#cuts.delete(onCut);
        resolve(result);
      });
      this.#cuts.add(onCut);
    });
  }

  #toReply(result: Extract<HttpResult, { status: 'answered' }>, credentials: Credentials, mask: Mask): ExchangeReply {
    const { auth } = this.#deps;
    const nowMs = this.#deps.nowMs();
    const answer = new Answer(result, mask, nowMs);
    for (const budget of this.#deps.budgetsOf(answer, nowMs)) this.#budgets.set(budget.perMs, budget);
    if (answer.code === 401) {
      const error = toError({ kind: 'auth', code: auth.onUnauthorized(credentials) }, 401, answer.text);
      return { status: 'ended', outcome: { status: 'failed', error } };
    }
    if (answer.code !== 403) auth.onAccepted(credentials);
    return answer;
  }
}

function outcomeOf(result: Exclude<HttpResult, { status: 'answered' }>, isRead: boolean): Ended['outcome'] {
  const outcome = outcomeWithoutAnswer(result);
  if (!isRead || outcome.status !== 'failed' || outcome.error.kind !== 'ambiguous') return outcome;
  return { status: 'failed', error: { ...outcome.error, kind: 'transient' } };
}

function toHttpRequest(request: ExchangeRequest, basePath: string, session: Session, keepBytes: number): HttpRequest {
  const { method, path, body, contentType = 'application/json', headers: own = {} } = request;
  const hasBody = body !== undefined;
  // The first pair is `accept`.
  const headers = own['accept'] === undefined ? [...session.headers] : session.headers.slice(2);
  if (hasBody) headers.push('content-type', contentType);
  for (const [name, value] of Object.entries(own)) headers.push(name, value);
  const text = !hasBody ? null : typeof body === 'string' ? body : JSON.stringify(body);
  return { method, path: basePath + path, headers, body: text, keepBytes };
}

class Answer implements ExchangeAnswer {
  readonly status = 'answered';
  readonly code: number;
  readonly text: string;
  readonly isWhole: boolean;
  readonly retryAfterMs: number | undefined;
  readonly #headers: readonly Buffer[];
  #json: { readonly value: unknown } | undefined;

  constructor(result: Extract<HttpResult, { status: 'answered' }>, mask: Mask, nowMs: number) {
    this.code = result.code;
    this.text = result.isWhole ? result.text : mask.apply(result.text, false);
    this.isWhole = result.isWhole;
    this.retryAfterMs = readRetryAfterMs(result.headers, nowMs);
    this.#headers = result.headers;
  }

  header(name: string): string | undefined {
    return readHeader(this.#headers, name);
  }

  json(): unknown {
    this.#json ??= { value: parseJson(this.text) };
    return this.#json.value;
  }
}
