/**
 * Which network addresses a provider may have. Used twice: at registration, for what a URL itself gives away, and at every connect,
 * for the addresses a name resolves to at that moment. What always holds: an address that is not plainly public is refused
 * unless the operator allows private networks, and link-local ones (the metadata services of clouds) are refused even then.
 * Rejected: a list of forbidden ranges kept here; what is not known to be public is refused instead.
 */
import ipaddr from 'ipaddr.js';

export interface NetworkPolicy {
  readonly allowPrivateNetworks: boolean;
}

const privateRanges: ReadonlySet<string> = new Set(['loopback', 'private', 'uniqueLocal', 'carrierGradeNat']);

/** The well-known prefix of NAT64, 64:ff9b::/96: its last 32 bits are an IPv4 address (RFC 6052). */
const nat64Prefix: readonly [ipaddr.IPv6, number] = [ipaddr.IPv6.parse('64:ff9b::'), 96];
/** Global unicast space that has been given out, 2000::/3. Anything else may mean something inside a network. */
const globalUnicast: readonly [ipaddr.IPv6, number] = [ipaddr.IPv6.parse('2000::'), 3];

/** Whether a connection to this IP address is allowed. False for a text that is no address. */
export function isAllowedAddress(address: string, policy: NetworkPolicy): boolean {
  if (!ipaddr.isValid(address)) return false;
  const range = rangeOf(ipaddr.parse(address));
  return range === 'unicast' || (policy.allowPrivateNetworks && privateRanges.has(range));
}

function rangeOf(address: ipaddr.IPv4 | ipaddr.IPv6): string {
  if (address instanceof ipaddr.IPv4) return address.range();
  if (address.isIPv4MappedAddress()) return address.toIPv4Address().range();
  if (address.match(nat64Prefix[0], nat64Prefix[1])) {
    const embedded = new ipaddr.IPv4(address.toByteArray().slice(12));
    return embedded.range() === 'unicast' ? 'unicast' : 'nat64';
  }
  const range = address.range();
  if (range === 'unicast' && !address.match(globalUnicast[0], globalUnicast[1])) return 'unassigned';
  return range;
}

/** What is wrong with an address a provider is to be called at, in words; undefined when nothing can be said before a connect. */
export function checkProviderUrl(text: string, policy: NetworkPolicy, options: { allowQuery?: boolean } = {}): string | undefined {
  if (!URL.canParse(text)) return 'is not a URL';
  const url = new URL(text);
  if (url.protocol !== 'http:' && url.protocol !== 'https:') return 'must begin with http:// or https://';
  if (url.username !== '' || url.password !== '') return 'must not hold a user name or password: use auth_config';
  if (url.hash !== '' || text.includes('#')) return 'must not have a fragment (#...)';
  if (!options.allowQuery && text.includes('?')) return 'must not have a query (?...)';
  return checkHost(url.hostname, policy);
}

const refusal = 'points at a private or special network, which SLUICE_ALLOW_PRIVATE_NETWORKS does not allow';

/** `hostname` as a parsed URL has it: every spelling of an IPv4 address is dotted there. */
function checkHost(hostname: string, policy: NetworkPolicy): string | undefined {
  const host = hostname.replace(/^\[|\]$/g, '').replace(/\.$/, '');
  if (host === '') return 'has no host';
  if (ipaddr.isValid(host)) return isAllowedAddress(host, policy) ? undefined : refusal;
  const isLocalName = host === 'localhost' || host.endsWith('.localhost');
  return isLocalName && !policy.allowPrivateNetworks ? refusal : undefined;
}
