/**
 * The connector of every pool that calls an address somebody configured. It resolves the host's name once, checks every address that
 * came back, and connects to just those: a name that resolves to something else a moment later (DNS rebinding) changes nothing.
 * A host that is an address is checked as it stands: for those, Node never asks a resolver. Certificates are checked against the
 * host's name as ever. Redirects are not followed anywhere, so no other host is ever called.
 */
import type { LookupAddress } from 'node:dns';
import { isIP, type LookupFunction } from 'node:net';
import { buildConnector } from 'undici';
import { isAllowedAddress, type NetworkPolicy } from '../../shared/providers/address.ts';

/** All addresses of a name; `dns.promises.lookup(name, { all: true })` outside of tests. */
export type Resolve = (hostname: string) => Promise<readonly LookupAddress[]>;

export class AddressRefusedError extends Error {
  readonly code = 'SLUICE_ADDRESS_REFUSED';
}

export function createGuardedConnector(deps: {
  resolve: Resolve;
  network: NetworkPolicy;
  connectTimeoutMs: number;
}): buildConnector.connector {
  const { resolve, network } = deps;

  const lookup: LookupFunction = (hostname, options, done) => {
    resolveChecked(hostname).then(
      (addresses) => {
        const first = addresses[0] as LookupAddress;
        if (options.all) done(null, [...addresses]);
        else done(null, first.address, first.family);
      },
      (error: Error) => done(error, '', 0),
    );
  };

  async function resolveChecked(hostname: string): Promise<readonly LookupAddress[]> {
    const addresses = await resolve(hostname);
    if (addresses.length === 0) throw Object.assign(new Error(`${hostname} has no address`), { code: 'ENOTFOUND' });
    if (!addresses.every(({ address }) => isAllowedAddress(address, network))) throw refused(hostname);
    return addresses;
  }

  // One socket for each call in flight: no HTTP/2, which would be agreed on in the handshake.
  const connect = buildConnector({
    timeout: deps.connectTimeoutMs,
    lookup,
    allowH2: false,
    autoSelectFamily: true,
  } as buildConnector.BuildOptions);

  return (options, callback) => {
    if (isIP(options.hostname) !== 0 && !isAllowedAddress(options.hostname, network)) {
      callback(refused(options.hostname), null);
      return;
    }
    connect(options, (...result) => {
      const [error, socket] = result;
      // Cannot happen while the above holds; costs nothing once a connection.
      if (!error && socket.remoteAddress !== undefined && !isAllowedAddress(socket.remoteAddress, network)) {
        socket.destroy();
        callback(refused(options.hostname), null);
        return;
      }
      callback(...result);
    });
  };
}

function refused(hostname: string): AddressRefusedError {
  return new AddressRefusedError(`${hostname} is at an address that may not be called`);
}
