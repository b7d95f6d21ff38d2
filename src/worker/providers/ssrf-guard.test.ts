import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Client } from 'undici';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createGuardedConnector, type Resolve } from './ssrf-guard.ts';

let server: Server;
let port: number;
let connections = 0;

beforeAll(async () => {
  server = createServer((_, response) => response.end('ok'));
  server.on('connection', () => {
    connections += 1;
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  port = (server.address() as AddressInfo).port;
});
afterAll(async () => {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});

/** Whether a call to this host reaches the server; else the code of the error. */
async function tryHost(host: string, resolve: Resolve, allowPrivateNetworks: boolean): Promise<string> {
  const connect = createGuardedConnector({ resolve, network: { allowPrivateNetworks }, connectTimeoutMs: 5_000 });
  const client = new Client(`http://${host}:${port}`, { connect });
  try {
    const { body } = await client.request({ method: 'GET', path: '/' });
    return await body.text();
  } catch (error) {
    return String((error as NodeJS.ErrnoException).code);
  } finally {
    await client.destroy();
  }
}

const to =
  (...addresses: string[]): Resolve =>
  async () =>
    addresses.map((address) => ({ address, family: address.includes(':') ? 6 : 4 }));
const never: Resolve = async () => {
  throw new Error('must not be resolved');
};

describe('the guarded connector', () => {
  it.each(['127.0.0.1', '2130706433', '0x7f.1', '0177.0.0.1', '[::1]', '[::ffff:127.0.0.1]'])('refuses the address %s', async (host) => {
    const before = connections;
    expect(await tryHost(host, never, false)).toBe('SLUICE_ADDRESS_REFUSED');
    expect(connections).toBe(before);
  });

  it.each([
    '127.0.0.1',
    '10.0.0.1',
    '172.16.0.1',
    '192.168.0.1',
    '100.64.0.1',
    '169.254.169.254',
    '0.0.0.0',
    '::1',
    '::ffff:127.0.0.1',
    'fd00::1',
    'fe80::1',
    '64:ff9b::7f00:1',
    '2002:7f00:1::',
  ])('refuses a name that resolves to %s', async (address) => {
    const before = connections;
    expect(await tryHost('provider.test', to(address), false)).toBe('SLUICE_ADDRESS_REFUSED');
    expect(connections).toBe(before);
  });

  it('refuses a name of which one address is not public', async () => {
    expect(await tryHost('provider.test', to('1.1.1.1', '127.0.0.1'), false)).toBe('SLUICE_ADDRESS_REFUSED');
  });

  it('still refuses the metadata address where private networks are allowed', async () => {
    expect(await tryHost('provider.test', to('169.254.169.254'), true)).toBe('SLUICE_ADDRESS_REFUSED');
    expect(await tryHost('169.254.169.254', never, true)).toBe('SLUICE_ADDRESS_REFUSED');
  });

  it('connects to the addresses it has checked, having resolved the name once', async () => {
    const answers = ['127.0.0.1', '127.0.0.2'];
    let asked = 0;
    const rebinding: Resolve = async () => {
      asked += 1;
      return [{ address: answers.shift() as string, family: 4 }];
    };
    expect(await tryHost('provider.test', rebinding, true)).toBe('ok');
    expect(asked).toBe(1);
  });

  it('refuses a name that turns private between two connections', async () => {
    const answers = ['127.0.0.1', '169.254.169.254'];
    const rebinding: Resolve = async () => [{ address: answers.shift() as string, family: 4 }];
    expect(await tryHost('provider.test', rebinding, true)).toBe('ok');
    expect(await tryHost('provider.test', rebinding, true)).toBe('SLUICE_ADDRESS_REFUSED');
  });

  it('tries the next address where the first does not answer', async () => {
    expect(await tryHost('provider.test', to('127.255.255.1', '127.0.0.1'), true)).toBe('ok');
  });

  it('passes on that a name does not resolve', async () => {
    const failing: Resolve = async () => {
      throw Object.assign(new Error('no such name'), { code: 'ENOTFOUND' });
    };
    expect(await tryHost('provider.test', failing, true)).toBe('ENOTFOUND');
    expect(await tryHost('provider.test', to(), true)).toBe('ENOTFOUND');
  });
});
