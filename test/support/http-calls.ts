/** Clients of the HTTP layer below the adapters, and their calls. */
import { buildConnector } from 'undici';
import { onTestFinished } from 'vitest';
import {
  createHttpClient,
  type HttpClient,
  type HttpClientOptions,
  type HttpRequest,
  type HttpResult,
} from '../../src/worker/providers/http-call.ts';

/** A client that closes with the test. */
export function openClient(origin: string, more: Partial<HttpClientOptions> = {}): HttpClient {
  const client = createHttpClient({
    origin,
    connect: buildConnector({ timeout: 10_000 }),
    maxConnections: 4,
    timeoutMs: 10_000,
    maxAnswerBytes: 1_000,
    keepFailureBytes: 100,
    monotonicMs: () => performance.now(),
    ...more,
  });
  onTestFinished(() => client.close());
  return client;
}

export const request: HttpRequest = { method: 'POST', path: '/x', headers: ['a', 'b'], body: '{}', keepBytes: 1_000 };
export const yes = { mayStart: () => true };

/** One call to its end. */
export function call(client: HttpClient, more: Partial<HttpRequest> = {}, guard = yes): Promise<HttpResult> {
  return new Promise((resolve) => {
    client.start({ ...request, ...more }, guard, resolve);
  });
}
