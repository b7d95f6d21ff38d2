/** Sends outbound messages over HTTP. Unlike a plain webhook's, their listeners acknowledge in the body of the answer. */
import type { WebhookMessage } from '../simulated-provider.ts';

/** What was answered, or undefined when there was no answer. Never rejects. */
export type Exchange = (message: WebhookMessage) => Promise<{ readonly status: number; readonly text: string } | undefined>;

export const exchangeOverHttp: Exchange = async ({ url, headers, text, timeoutMs }) => {
  try {
    const answer = await fetch(url, { method: 'POST', headers, body: text, redirect: 'manual', signal: AbortSignal.timeout(timeoutMs) });
    return { status: answer.status, text: await answer.text() };
  } catch {
    return undefined;
  }
};
