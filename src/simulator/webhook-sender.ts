/**
 * Sends a simulated provider's webhooks: each at once, then again after each of its delays until an answer counts as delivered. Every
 * attempt is made up anew, since attempt numbers, times and signatures are part of it. Never more than `maxInFlight` at a time.
 */
import type { ProviderDeps, WebhookMessage } from './simulated-provider.ts';

export interface Webhook {
  /** What is sent the given time round; 0 is the first. */
  readonly attempt: (attempt: number) => WebhookMessage;
  /** Milliseconds before each repetition; as many repetitions as there are delays. */
  readonly delaysMs: readonly number[];
  /** `status` is undefined when there was no answer. */
  readonly isDelivered: (status: number | undefined) => boolean;
}

interface Attempt {
  readonly at_ms: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  /** Null when there was no answer. */
  status: number | null;
}

export interface SentWebhook {
  state: 'sending' | 'delivered' | 'given_up';
  url: string;
  readonly attempts: Attempt[];
}

export interface WebhookSender {
  send(webhook: Webhook): void;
  /** Oldest first. */
  list(): readonly SentWebhook[];
  clear(): void;
}

/** Webhooks kept for the list; the oldest are forgotten first. */
const maxListed = 10_000;

export function createWebhookSender({ now, wait, post }: ProviderDeps, maxInFlight = 10): WebhookSender {
  let sent: SentWebhook[] = [];
  let inFlight = 0;
  const waiting: (() => void)[] = [];

  async function take(): Promise<void> {
    if (inFlight >= maxInFlight) await new Promise<void>((resolve) => waiting.push(resolve));
    else inFlight += 1;
  }

  function release(): void {
    const next = waiting.shift();
    if (next) next();
    else inFlight -= 1;
  }

  async function tryOnce(webhook: Webhook, entry: SentWebhook): Promise<boolean> {
    await take();
    try {
      const message = webhook.attempt(entry.attempts.length);
      const attempt: Attempt = { at_ms: now(), headers: message.headers, body: message.text, status: null };
      entry.url = message.url;
      entry.attempts.push(attempt);
      const status = await post(message);
      attempt.status = status ?? null;
      return webhook.isDelivered(status);
    } finally {
      release();
    }
  }

  async function deliver(webhook: Webhook, entry: SentWebhook): Promise<void> {
    for (const delayMs of [0, ...webhook.delaysMs]) {
      if (delayMs > 0) await wait(delayMs);
      if (await tryOnce(webhook, entry)) {
        entry.state = 'delivered';
        return;
      }
    }
    entry.state = 'given_up';
  }

  return {
    send(webhook) {
      const entry: SentWebhook = { state: 'sending', url: '', attempts: [] };
      sent.push(entry);
      if (sent.length > 2 * maxListed) sent = sent.slice(-maxListed);
      deliver(webhook, entry).catch(() => {
        entry.state = 'given_up';
      });
    },
    list: () => sent,
    clear() {
      sent = [];
    },
  };
}
