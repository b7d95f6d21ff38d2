import { describe, expect, it } from 'vitest';
import { checkProviderUrl, isAllowedAddress } from './address.ts';

const strict = { allowPrivateNetworks: false };
const open = { allowPrivateNetworks: true };

describe('isAllowedAddress', () => {
  it.each(['1.1.1.1', '93.184.216.34', '2606:4700::1111', '::ffff:1.1.1.1', '64:ff9b::1.1.1.1'])(
    'allows the public address %s',
    (address) => {
      expect(isAllowedAddress(address, strict)).toBe(true);
    },
  );

  it.each([
    ['loopback', '127.0.0.1'],
    ['loopback', '127.255.255.254'],
    ['loopback', '::1'],
    ['mapped loopback', '::ffff:127.0.0.1'],
    ['private', '10.1.2.3'],
    ['private', '172.16.0.1'],
    ['private', '172.31.255.255'],
    ['private', '192.168.1.1'],
    ['mapped private', '::ffff:10.0.0.1'],
    ['carrier-grade NAT', '100.64.0.1'],
    ['unique local', 'fd00::1'],
  ])('refuses %s %s, unless private networks are allowed', (_, address) => {
    expect(isAllowedAddress(address, strict)).toBe(false);
    expect(isAllowedAddress(address, open)).toBe(true);
  });

  it.each([
    ['link-local (metadata)', '169.254.169.254'],
    ['mapped link-local', '::ffff:169.254.169.254'],
    ['link-local', 'fe80::1'],
    ['link-local with a zone', 'fe80::1%eth0'],
    ['unspecified', '0.0.0.0'],
    ['unspecified', '::'],
    ['"this" network', '0.1.2.3'],
    ['broadcast', '255.255.255.255'],
    ['multicast', '224.0.0.1'],
    ['multicast', 'ff02::1'],
    ['documentation', '192.0.2.1'],
    ['benchmarking', '198.18.0.1'],
    ['reserved', '240.0.0.1'],
    ['6to4 of loopback', '2002:7f00:1::'],
    ['NAT64 of loopback', '64:ff9b::127.0.0.1'],
    ['NAT64 of a private address', '64:ff9b::10.0.0.1'],
    ['local NAT64', '64:ff9b:1::1.1.1.1'],
    ['Teredo', '2001:0:4136:e378:8000:63bf:3fff:fdd2'],
    ['site-local', 'fec0::1'],
    ['unassigned', '4000::1'],
    ['no address', 'example.com'],
  ])('refuses %s %s always', (_, address) => {
    expect(isAllowedAddress(address, strict)).toBe(false);
    expect(isAllowedAddress(address, open)).toBe(false);
  });
});

describe('checkProviderUrl', () => {
  it.each(['https://api.example.com', 'http://api.example.com:8080/v1/crm', 'https://1.1.1.1/x', 'https://[2606:4700::1111]'])(
    'takes %s',
    (url) => {
      expect(checkProviderUrl(url, strict)).toBeUndefined();
    },
  );

  it.each([
    'http://127.0.0.1',
    'http://127.1',
    'http://2130706433',
    'http://0x7f.0.0.1',
    'http://0177.0.0.1',
    'http://[::1]:8080',
    'http://[::ffff:7f00:1]',
    'http://localhost',
    'http://LOCALHOST.:80',
    'http://db.localhost',
    'http://10.0.0.8',
    'http://１２７.0.0.1',
  ])('knows %s for a private address, however it is spelled', (url) => {
    expect(checkProviderUrl(url, strict)).toContain('private or special network');
    expect(checkProviderUrl(url, open)).toBeUndefined();
  });

  it.each([
    ['ftp://example.com', 'http:// or https://'],
    ['file:///etc/passwd', 'http:// or https://'],
    ['https://user:pass@example.com', 'auth_config'],
    ['https://example.com/#x', 'fragment'],
    ['https://example.com/?', 'query'],
    ['https://example.com/?a=1', 'query'],
    ['example.com', 'not a URL'],
    ['http://169.254.169.254/latest', 'private or special network'],
  ])('refuses %s even where private networks are allowed', (url, reason) => {
    expect(checkProviderUrl(url, open)).toContain(reason);
  });

  it('takes a query where one is allowed', () => {
    expect(checkProviderUrl('https://example.com/token?tenant=1', strict, { allowQuery: true })).toBeUndefined();
  });
});
