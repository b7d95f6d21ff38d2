/**
 * Outbound messages: SOAP that tells a listener of changed rows, up to 100 in one, again and again with growing waits until it is
 * acknowledged. Every attempt holds the rows as they are then, not as they were, and order is not promised. Deletes are not told.
 */
import type { ProviderDeps, WebhookMessage } from '../simulated-provider.ts';
import { createWebhookSender, type SentWebhook } from '../webhook-sender.ts';
import type { Org } from './org.ts';
import type { Row } from './record-table.ts';
import { fieldValue } from './row-view.ts';
import type { OutboundMessageSettings } from './settings.ts';
import type { Exchange } from './soap-exchange.ts';

export interface OutboundMessages {
  /** Tells of the rows' changes where settings ask for it. */
  announce(ids: readonly string[], baseUrl: string): void;
  list(): readonly SentWebhook[];
  clear(): void;
}

interface Notification {
  readonly id: string;
  readonly rowId: string;
}

export function createOutboundMessages(org: Org, deps: ProviderDeps, exchange: Exchange): OutboundMessages {
  const acknowledged = new WeakSet<WebhookMessage>();
  const post = async (message: WebhookMessage) => {
    const answer = await exchange(message);
    if (answer?.status === 200 && isAcknowledgement(answer.text)) acknowledged.add(message);
    return answer?.status;
  };
  const sender = createWebhookSender({ ...deps, post });

  function send(target: OutboundMessageSettings, notifications: readonly Notification[], baseUrl: string): void {
    const actionId = org.makeId('04k');
    let message: WebhookMessage | undefined;
    sender.send({
      attempt() {
        const text = envelope(org, target, { actionId, notifications, baseUrl });
        const headers = { 'content-type': 'text/xml; charset=utf-8', soapaction: '""' };
        message = { url: target.url, headers, text, timeoutMs: org.settings.outbound_timeout_ms };
        return message;
      },
      delaysMs: delays(org),
      isDelivered: () => message !== undefined && acknowledged.has(message),
    });
  }

  return {
    announce(ids, baseUrl) {
      for (const target of org.settings.outbound_messages) {
        const changed = ids.filter((id) => isTold(org.table.get(id), target));
        const notifications = changed.map((rowId) => ({ id: org.makeId('04l'), rowId }));
        const max = org.settings.max_notifications;
        for (let start = 0; start < notifications.length; start += max) send(target, notifications.slice(start, start + max), baseUrl);
      }
    },
    list: () => sender.list(),
    clear: () => sender.clear(),
  };
}

function isTold(row: Row | undefined, { object }: OutboundMessageSettings): boolean {
  return row !== undefined && row.type === object && !row.isDeleted;
}

/** Doubling waits that end within the time for which messages are kept. */
function delays({ settings }: Org): readonly number[] {
  const waits: number[] = [];
  let spentMs = 0;
  for (let waitMs = settings.outbound_retry_ms; spentMs + waitMs <= settings.outbound_keep_ms; ) {
    waits.push(waitMs);
    spentMs += waitMs;
    waitMs = Math.max(1, Math.min(waitMs * 2, settings.outbound_max_retry_ms));
  }
  return waits;
}

function isAcknowledgement(text: string): boolean {
  return /<(?:\w+:)?Ack>\s*true\s*<\/(?:\w+:)?Ack>/i.test(text);
}

const namespaces =
  'xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/" xmlns:xsd="http://www.w3.org/2001/XMLSchema" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"';

function envelope(
  org: Org,
  { object, fields }: OutboundMessageSettings,
  { actionId, notifications, baseUrl }: { actionId: string; notifications: readonly Notification[]; baseUrl: string },
): string {
  const { organization_id, max_version } = org.settings;
  const parts = notifications.map(({ id, rowId }) => {
    const row = org.table.get(rowId);
    const values = row ? fields.map((field) => element(field, fieldValue(row, field))).join('') : '';
    const record = `<sObject xsi:type="sf:${object}" xmlns:sf="urn:sobject.enterprise.soap.sforce.com">${element('Id', rowId)}${values}</sObject>`;
    return `<Notification><Id>${id}</Id>${record}</Notification>`;
  });
  const address = (api: string) => `${escapeXml(baseUrl)}/services/Soap/${api}/${max_version}.0/${organization_id}`;
  const head = [
    `<OrganizationId>${organization_id}</OrganizationId><ActionId>${actionId}</ActionId><SessionId xsi:nil="true"/>`,
    `<EnterpriseUrl>${address('c')}</EnterpriseUrl><PartnerUrl>${address('u')}</PartnerUrl>`,
  ];
  const body = `<notifications xmlns="http://soap.sforce.com/2005/09/outbound">${head.join('')}${parts.join('')}</notifications>`;
  return `<?xml version="1.0" encoding="UTF-8"?><soapenv:Envelope ${namespaces}><soapenv:Body>${body}</soapenv:Body></soapenv:Envelope>`;
}

/** SOAP writes points in time with `Z`. */
function element(field: string, value: unknown): string {
  if (value === null || value === undefined || field === '') return '';
  return `<sf:${field}>${escapeXml(String(value).replace(/^(\d{4}-\d{2}-\d{2}T[\d:.]+)\+0000$/, '$1Z'))}</sf:${field}>`;
}

function escapeXml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
}
