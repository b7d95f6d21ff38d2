import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, test } from 'vitest';
import { eventually } from '../../../test/support/eventually.ts';
import { openOrg } from '../../../test/support/simulated-org.ts';
import { exchangeOverHttp } from './soap-exchange.ts';

const ack = (value: boolean) => ({
  status: 200,
  text: `<soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/"><soapenv:Body><notificationsResponse xmlns="http://soap.sforce.com/2005/09/outbound"><Ack>${value}</Ack></notificationsResponse></soapenv:Body></soapenv:Envelope>`,
});
const target = { object: 'Contact', url: 'http://127.0.0.1:1/hook', fields: ['Email', 'LastName', 'SystemModstamp', 'Title'] };

test('a change is told with the fields asked for, and not again once it is acknowledged', async () => {
  const { api, set, sent, provider } = await openOrg(async () => ack(true));
  set({ outbound_messages: [target] });
  await api('/sobjects/Contact', { body: { LastName: 'A & B', Email: 'a@example.com' } });
  await api('/sobjects/Lead', { body: { LastName: 'C', Company: 'D' } });
  await eventually(() => expect(provider.webhooks?.()).toMatchObject([{ state: 'delivered' }]));
  expect(sent).toHaveLength(1);
  const text = sent[0]?.text ?? '';
  expect(text).toMatch(/<OrganizationId>00D\w{15}<\/OrganizationId><ActionId>04k\w{15}<\/ActionId><SessionId xsi:nil="true"\/>/);
  expect(text).toMatch(
    /<Notification><Id>04l\w{15}<\/Id><sObject xsi:type="sf:Contact" xmlns:sf="urn:sobject\.enterprise\.soap\.sforce\.com"><sf:Id>003\w{15}<\/sf:Id>/,
  );
  expect(text).toContain(
    '<sf:Email>a@example.com</sf:Email><sf:LastName>A &amp; B</sf:LastName><sf:SystemModstamp>2026-05-20T12:00:00.000Z</sf:SystemModstamp></sObject>',
  );
});

test('a message is repeated after growing waits until it is acknowledged, with what the row then holds', async () => {
  const answers = [undefined, { status: 500, text: '' }, ack(false), { status: 200, text: '' }, ack(true)];
  const { api, set, sent, provider, clock } = await openOrg(async () => answers.shift());
  set({ outbound_messages: [target], outbound_retry_ms: 1_000, outbound_max_retry_ms: 3_000 });
  await api('/sobjects/Contact', { body: { LastName: 'A' } });
  await eventually(() => expect(provider.webhooks?.()).toMatchObject([{ state: 'delivered', attempts: { length: 5 } }]));
  expect(clock.waits).toEqual([1_000, 2_000, 3_000, 3_000]);
  const ids = sent.map((message) => /<Notification><Id>(\w+)/.exec(message.text)?.[1]);
  expect(new Set(ids).size).toBe(1);
});

test('a message is given up when its time is over', async () => {
  const { api, set, provider } = await openOrg(async () => undefined);
  set({ outbound_messages: [target], outbound_retry_ms: 1_000, outbound_keep_ms: 3_000 });
  await api('/sobjects/Contact', { body: { LastName: 'A' } });
  await eventually(() => expect(provider.webhooks?.()).toMatchObject([{ state: 'given_up', attempts: { length: 3 } }]));
});

test('many changes go in messages of a hundred; those taken back and deletes are not told', async () => {
  const { api, set, sent, provider } = await openOrg(async () => ack(true));
  set({ outbound_messages: [target] });
  const records = Array.from({ length: 150 }, (_, n) => ({ attributes: { type: 'Contact' }, LastName: `N${n}`, ExtId__c: `${n}` }));
  await api('/composite/sobjects', { body: { allOrNone: true, records: [...records, { attributes: { type: 'Contact' } }] } });
  await api('/composite/sobjects', { body: { records } });
  await api('/sobjects/Contact/ExtId__c/1', { method: 'DELETE' });
  await eventually(() => expect(provider.webhooks?.()).toMatchObject([{ state: 'delivered' }, { state: 'delivered' }]));
  expect(sent.map((message) => message.text.split('<Notification>').length - 1)).toEqual([100, 50]);
});

test('a listener that answers over HTTP is understood, and one that is away is no fault', async () => {
  const server = createServer((_, response) => response.writeHead(200, { 'content-type': 'text/xml' }).end('<Ack>true</Ack>'));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const message = { url, headers: {}, text: '<a/>', timeoutMs: 5_000 };
  expect(await exchangeOverHttp(message)).toEqual({ status: 200, text: '<Ack>true</Ack>' });
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
  expect(await exchangeOverHttp(message)).toBeUndefined();
});
