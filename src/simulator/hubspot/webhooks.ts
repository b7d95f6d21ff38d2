/**
 * HubSpot's webhooks: what changes within a short time goes as one array of at most a hundred events, signed with the app's secret in
 * version 1, 3 or both, and again after growing delays until the answer is a 2xx. Repetitions carry their attempt's number, and a
 * signature of the moment.
 */
import { createHash, createHmac } from 'node:crypto';
import type { ProviderDeps, WebhookMessage } from '../simulated-provider.ts';
import { createWebhookSender, type SentWebhook } from '../webhook-sender.ts';
import type { Change } from './object-store.ts';
import type { HubspotSettings } from './settings.ts';

type Event = Readonly<Record<string, unknown>>;

export interface HubspotWebhooks {
  tell(change: Change): void;
  list(): readonly SentWebhook[];
  clear(): void;
}

export function createHubspotWebhooks(deps: ProviderDeps, settings: () => HubspotSettings): HubspotWebhooks {
  const { now, random, wait } = deps;
  const sender = createWebhookSender(deps);
  let gathered: Event[] = [];
  let isGathering = false;
  let lastEventId = 0;

  function messageOf(events: readonly Event[], attempt: number): WebhookMessage {
    const { webhooks } = settings();
    const url = webhooks.url ?? '';
    const text = JSON.stringify(events.map((event) => ({ ...event, attemptNumber: attempt })));
    const headers = { 'content-type': 'application/json', ...signatures(webhooks, url, text, Math.floor(now())) };
    return { url, text, headers, timeoutMs: webhooks.timeout_ms };
  }

  function send(events: readonly Event[]): void {
    sender.send({
      attempt: (attempt) => messageOf(events, attempt),
      // Up to a tenth more, so that repetitions do not come all at once.
      delaysMs: settings().webhooks.retry_delays_ms.map((delayMs) => delayMs * (1 + random() / 10)),
      isDelivered: (status) => status !== undefined && status < 300,
    });
  }

  async function gather(): Promise<void> {
    isGathering = true;
    await wait(settings().webhooks.gather_ms);
    isGathering = false;
    const events = gathered;
    gathered = [];
    const { max_events } = settings().webhooks;
    for (let at = 0; at < events.length; at += max_events) send(events.slice(at, at + max_events));
  }

  return {
    tell(change) {
      const { webhooks } = settings();
      const subscriptionType = `${webhooks.generic_types ? 'object' : change.record.type.singular}.${change.kind}`;
      const isWanted = webhooks.subscriptions === null || webhooks.subscriptions.includes(subscriptionType);
      if (webhooks.url === null || !isWanted) return;
      lastEventId += 1;
      gathered.push(eventOf(change, subscriptionType, lastEventId, settings()));
      if (!isGathering) gather().catch(() => undefined);
    },
    list: () => sender.list(),
    clear() {
      sender.clear();
      gathered = [];
    },
  };
}

function eventOf(change: Change, subscriptionType: string, eventId: number, settings: HubspotSettings): Event {
  const { kind, record, author, atMs } = change;
  return {
    eventId,
    // One subscription a type of event; its number only has to stay the same.
    subscriptionId: 10_000 + Number(record.type.id.slice(2)) * 10 + ['creation', 'propertyChange', 'deletion'].indexOf(kind),
    portalId: settings.portal_id,
    appId: settings.app_id,
    occurredAt: atMs,
    subscriptionType,
    ...(settings.webhooks.generic_types && { objectTypeId: record.type.id }),
    objectId: Number(record.id),
    ...(kind === 'propertyChange' && { propertyName: change.propertyName, propertyValue: change.propertyValue, isSensitive: false }),
    ...changeFlag(kind, settings),
    ...(author === 'app'
      ? { changeSource: 'INTEGRATION', sourceId: String(settings.app_id) }
      : { changeSource: 'CRM_UI', sourceId: 'userId:1' }),
  };
}

function changeFlag(kind: Change['kind'], { webhooks }: HubspotSettings) {
  if (kind === 'propertyChange' || webhooks.change_flags === 'absent') return {};
  if (kind === 'deletion') return { changeFlag: 'DELETED' };
  return { changeFlag: webhooks.change_flags === 'NEW_DELETED' ? 'NEW' : 'CREATED' };
}

function signatures({ secret, signature }: HubspotSettings['webhooks'], url: string, body: string, nowMs: number): Record<string, string> {
  const first = { 'x-hubspot-signature': signV1(secret, body), 'x-hubspot-signature-version': 'v1' };
  const third = {
    'x-hubspot-signature-v3': signV3(secret, { method: 'POST', url, body, nowMs }),
    'x-hubspot-request-timestamp': String(nowMs),
  };
  if (signature === 'both') return { ...first, ...third };
  return signature === 'v1' ? first : third;
}

/** Hex SHA-256 of the secret and the body. */
export function signV1(secret: string, body: string): string {
  return createHash('sha256').update(`${secret}${body}`).digest('hex');
}

/** Base64 HMAC-SHA-256 of method, URL, body and time; a few escapes of the URL are undone first. */
export function signV3(secret: string, { method, url, body, nowMs }: { method: string; url: string; body: string; nowMs: number }): string {
  const plain = url.replace(/%(?:3A|2F|3F|40|21|24|27|28|29|2A|2C|3B)/gi, decodeURIComponent);
  return createHmac('sha256', secret).update(`${method}${plain}${body}${nowMs}`).digest('base64');
}
