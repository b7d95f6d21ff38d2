import { describe, expect, test } from 'vitest';
import { createMounts } from './mounts.ts';
import type { Simulator } from './simulator.ts';

const startedAtMs = Date.parse('2026-05-20T12:00:00Z');
const grant = { grant_type: 'refresh_token', client_id: 'c', client_secret: 's', refresh_token: 'r', redirect_uri: 'x' };
const crms = {
  salesforce: { token: '/services/oauth2/token', create: '/services/data/v60.0/sobjects/Contact', body: { LastName: 'A' } },
  hubspot: { token: '/oauth/v1/token', create: '/crm/v3/objects/contacts', body: { properties: { lastname: 'A' } } },
  outreach: { token: '/oauth/token', create: '/api/v2/prospects', body: { data: { type: 'prospect', attributes: { lastName: 'A' } } } },
};

function startAt(nowMs: number, crm: keyof typeof crms): Simulator {
  return createMounts({ keepCalls: 10, now: () => nowMs }).get(`/${crm}`) as Simulator;
}

// biome-ignore lint/suspicious/noExplicitAny: the shape of an answer is what the tests are about.
async function post(simulator: Simulator, path: string, text: string, authorization = ''): Promise<{ status: number; body: any }> {
  const type = path.startsWith('/api/v2') ? 'application/vnd.api+json' : 'application/json';
  const headers = { 'content-type': type, authorization };
  const request = { method: 'POST', path, query: new URLSearchParams(), headers, text, baseUrl: 'http://127.0.0.1:1' };
  const ending = await simulator.call(request);
  if (ending.with !== 'reply') throw new Error(`the call ended with ${ending.with}`);
  return { status: ending.reply.status, body: ending.reply.body };
}

async function logIn(simulator: Simulator, crm: keyof typeof crms): Promise<string> {
  const { body } = await post(simulator, crms[crm].token, new URLSearchParams(grant).toString());
  return `Bearer ${body.access_token}`;
}

async function createRecord(simulator: Simulator, crm: keyof typeof crms, authorization: string) {
  const { status, body } = await post(simulator, crms[crm].create, JSON.stringify(crms[crm].body), authorization);
  return { status, id: body.id ?? body.data?.id };
}

describe.each(['salesforce', 'hubspot', 'outreach'] as const)('%s, started again', (crm) => {
  test('gives no id that an earlier start has given, however short that was', async () => {
    const ids: (string | number)[] = [];
    for (const nowMs of [startedAtMs, startedAtMs + 1, startedAtMs + 1_000]) {
      const simulator = startAt(nowMs, crm);
      const authorization = await logIn(simulator, crm);
      for (let n = 0; n < 3; n += 1) ids.push((await createRecord(simulator, crm, authorization)).id);
    }
    expect(new Set(ids).size).toBe(9);
    const sorted = crm === 'salesforce' ? [...ids].sort() : [...ids].sort((a, b) => Number(a) - Number(b));
    expect(ids, 'later ids are greater').toEqual(sorted);
    const shape = { salesforce: /^003\w{15}$/, hubspot: /^[1-9]\d*$/, outreach: /^[1-9]\d*$/ }[crm];
    for (const id of ids) expect(String(id)).toMatch(shape);
    expect(crm !== 'outreach' || ids.every(Number.isSafeInteger)).toBe(true);
  });
});

test.each(['hubspot', 'outreach'] as const)('%s, started again, takes the tokens it has given until they end', async (crm) => {
  const authorization = await logIn(startAt(startedAtMs, crm), crm);
  expect((await createRecord(startAt(startedAtMs + 60_000, crm), crm, authorization)).status).toBe(201);
  expect(await post(startAt(startedAtMs + 86_400_000, crm), crms[crm].create, '{}', authorization)).toMatchObject({ status: 401 });
});
