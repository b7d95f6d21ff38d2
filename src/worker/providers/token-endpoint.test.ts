import { expect, it, onTestFinished } from 'vitest';
import { receive } from '../../../test/support/receiver.ts';
import { createHttpClient } from './http-call.ts';
import { createGuardedConnector } from './ssrf-guard.ts';
import { fetchToken } from './token-endpoint.ts';

const network = { allowPrivateNetworks: true };

it('shows no secret that is echoed as the word of an error', async () => {
  const endpoint = await receive(() => ({ status: 400, body: { error: 'opensesame', error_description: 'opensesame is wrong' } }));
  const client = createHttpClient({
    origin: endpoint.url,
    connect: createGuardedConnector({ resolve: async () => [], network, connectTimeoutMs: 1_000 }),
    maxConnections: 1,
    timeoutMs: 5_000,
    maxAnswerBytes: 1_024,
    keepFailureBytes: 1_024,
    monotonicMs: () => performance.now(),
  });
  onTestFinished(() => client.close());
  const request = { url: `${endpoint.url}/token`, form: new URLSearchParams({ client_secret: 'opensesame' }), secrets: ['opensesame'] };
  expect(await fetchToken(client, request, { secrets: [], guard: { mayStart: () => true }, nowMs: Date.now })).toEqual({
    status: 'refused',
    message: 'the token endpoint answered 400 (***: *** is wrong)',
  });
});
