/**
 * Outreach's webhooks: each is a record of its own, made through the API, and gets every change that its resource and action fit.
 * Deliveries are signed with its secret, without a time. Any answer counts as delivered; only where there is none it is sent again.
 */
import { createHmac } from 'node:crypto';
import { randomUuid } from '../random-ids.ts';
import type { ProviderDeps, WebhookMessage } from '../simulated-provider.ts';
import { createWebhookSender, type SentWebhook } from '../webhook-sender.ts';
import type { Change, Resource } from './resource-store.ts';
import type { OutreachSettings } from './settings.ts';

export interface OutreachWebhooks {
  tell(change: Change, webhooks: Iterable<Resource>): void;
  list(): readonly SentWebhook[];
  clear(): void;
}

export function createOutreachWebhooks(deps: ProviderDeps, settings: () => OutreachSettings): OutreachWebhooks {
  const { now, random } = deps;
  const sender = createWebhookSender(deps);

  function messageOf(webhook: Resource, change: Change, jobId: string): WebhookMessage {
    const { content_type, timeout_ms } = settings().webhooks;
    const { url, secret, cleanupToken, payloadVersion } = webhook.attributes;
    const text = JSON.stringify(payloadOf(change, { jobId, deliveredAtMs: now(), version: Number(payloadVersion) }));
    const headers = {
      'content-type': content_type,
      'outreach-webhook-cleanup-token': String(cleanupToken),
      ...(typeof secret === 'string' && { 'outreach-webhook-signature': sign(secret, text) }),
    };
    return { url: String(url), headers, text, timeoutMs: timeout_ms };
  }

  return {
    tell(change, webhooks) {
      if (change.resource.type.name === 'webhook') return;
      for (const webhook of webhooks) {
        if (!wants(webhook, change)) continue;
        const jobId = randomUuid(random);
        sender.send({
          attempt: () => messageOf(webhook, change, jobId),
          delaysMs: settings().webhooks.retry_delays_ms,
          isDelivered: (status) => status !== undefined,
        });
      }
    },
    list: () => sender.list(),
    clear: () => sender.clear(),
  };
}

/** Hex HMAC-SHA-256 of the body. */
export function sign(secret: string, body: string): string {
  return createHmac('sha256', secret).update(body).digest('hex');
}

function wants({ attributes }: Resource, { action, resource }: Change): boolean {
  const isActive = attributes['active'] !== false;
  const fitsAction = attributes['action'] === '*' || attributes['action'] === action;
  return isActive && fitsAction && (attributes['resource'] === '*' || attributes['resource'] === resource.type.name);
}

function payloadOf({ action, resource, attributes, before }: Change, job: { jobId: string; deliveredAtMs: number; version: number }) {
  const data = { type: resource.type.name, id: resource.id, attributes, relationships: {} };
  const deliveredAt = new Date(Math.floor(job.deliveredAtMs)).toISOString();
  const hasBefore = job.version === 2 && action === 'updated';
  const meta = { deliveredAt, eventName: `${resource.type.name}.${action}`, jobId: job.jobId };
  return { data: hasBefore ? { ...data, beforeUpdate: before } : data, meta };
}
