// @ts-check
/** `npm run key -- --id crm-team --scopes ingest,read [--tenant acme]`: prints a new API key and its entry for SLUICE_API_KEYS. */
import { createHash, randomBytes } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const knownScopes = ['ingest', 'read', 'admin'];

/**
 * @param {{ id: string, scopes: string[], tenant?: string | undefined }} wanted
 * @returns {{ key: string, entry: { id: string, hash: string, scopes: string[], tenant?: string } }}
 */
export function createKey({ id, scopes, tenant }) {
  // 256 random bits need no salt and no slow hash: there is nothing to guess.
  const key = `sluice_${randomBytes(32).toString('base64url')}`;
  const hash = `sha256:${createHash('sha256').update(key).digest('hex')}`;
  return { key, entry: { id, hash, scopes, ...(tenant === undefined ? {} : { tenant }) } };
}

/**
 * @param {string[]} args
 * @returns {{ id: string, scopes: string[], tenant?: string | undefined } | string} what is wanted, or what is wrong
 */
function readArguments(args) {
  const options = /** @type {const} */ ({ id: { type: 'string' }, scopes: { type: 'string' }, tenant: { type: 'string' } });
  try {
    const { id, scopes, tenant } = parseArgs({ args, options }).values;
    if (id === undefined || !/^[A-Za-z0-9._-]{1,64}$/.test(id)) return '--id: expected 1 to 64 of A-Z a-z 0-9 . _ -';
    const granted = (scopes ?? '').split(',').map((scope) => scope.trim());
    if (!granted.every((scope) => knownScopes.includes(scope))) return `--scopes: expected a list of ${knownScopes.join(',')}`;
    if (tenant !== undefined && (tenant.length < 1 || tenant.length > 64)) return '--tenant: expected 1 to 64 characters';
    return { id, scopes: granted, tenant };
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const wanted = readArguments(process.argv.slice(2));
  if (typeof wanted === 'string') {
    console.error(`${wanted}\nusage: npm run key -- --id crm-team --scopes ingest,read [--tenant acme]`);
    process.exitCode = 2;
  } else {
    const { key, entry } = createKey(wanted);
    console.log(`key, shown only now:\n  ${key}\n\nentry for the list in SLUICE_API_KEYS:\n  ${JSON.stringify(entry)}`);
  }
}
