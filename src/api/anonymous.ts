/** Without keys everybody may do everything: that is for one's own machine, unless the operator says otherwise. */
import { isIPv4 } from 'node:net';
import type { Settings } from '../shared/config/settings.ts';

/** Why the API must not start; undefined where it may. */
export function anonymousProblem(
  { host, allowAnonymous }: Pick<Settings, 'host' | 'allowAnonymous'>,
  keyCount: number,
): string | undefined {
  if (keyCount > 0 || allowAnonymous || isLoopback(host)) return undefined;
  return `SLUICE_API_KEYS: expected at least one key, since HOST=${host} is not loopback (SLUICE_ALLOW_ANONYMOUS=true starts without)`;
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || (isIPv4(host) && host.startsWith('127.'));
}
