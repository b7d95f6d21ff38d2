/**
 * Members of a body that answers show and that nobody sets: a name in the address, `paused`, the version, times. A caller may send back what it was
 * shown; anything else would be a change that is answered with 200 and never happens, so it is refused.
 */
import { invalid } from './route.ts';

type Fields = Readonly<Record<string, unknown>>;

const readOnly = { readOnly: true, description: 'Set by the server; may be sent back as it is stored.' };
/** For the OpenAPI document, by name. */
export const shownSchemas = {
  version: { type: 'integer', ...readOnly },
  created_at: { type: 'string', format: 'date-time', ...readOnly },
  updated_at: { type: 'string', format: 'date-time', ...readOnly },
};
/** Of a provider. */
export const pausedSchema = { type: 'boolean', ...readOnly, description: 'Changed by pause and resume; may be sent back as it is stored.' };

/** Of what a tenant has at a provider. */
export const tenantSchemas = { provider: { type: 'string', ...readOnly }, tenant: { type: 'string', ...readOnly } };

/** A schema with members that answers show besides. */
export function withShown(schema: object, shown: Fields): object {
  const { properties } = schema as { properties?: object };
  return { ...schema, properties: { ...properties, ...shown } };
}

const whyNot: Readonly<Record<string, string>> = {
  paused: 'is changed by pause and resume, not here',
  name: 'is not the name in the address: nothing can be renamed',
  provider: 'is not the provider in the address',
  tenant: 'is not the tenant in the address',
};
/** Of what is not stored: a configuration that was read can be put back once it is gone, or to another deployment. */
const forgotten = new Set(['version', 'created_at', 'updated_at']);
const setByServer = 'is set by the server: leave it out, or send it as it is stored';

/** What is stored, as answers show it, and its version; of what is not stored yet, what can be told of it. */
export interface Shown {
  readonly members: Fields;
  readonly version?: number;
}

/**
 * Throws `invalid` for each of `names` that the body gives another value than is stored, and for what names another than the `address`. Returns the
 * version that was compared with, if any: a write on the strength of it must ask for it again. `readShown` is asked only where it matters.
 */
export async function checkShownMembers(
  body: Fields,
  { address = {}, names, readShown }: { address?: Fields; names: readonly string[]; readShown: () => Promise<Shown> },
): Promise<number | undefined> {
  const differ = Object.keys(address).filter((name) => Object.hasOwn(body, name) && body[name] !== address[name]);
  const given = names.filter((name) => Object.hasOwn(body, name));
  const shown: Shown = given.length === 0 ? { members: {} } : await readShown();
  const isStored = shown.version !== undefined;
  differ.push(...given.filter((name) => body[name] !== shown.members[name] && (isStored || !forgotten.has(name))));
  if (differ.length > 0) throw invalid(differ.map((name) => ({ path: name, message: whyNot[name] ?? setByServer })));
  return shown.version;
}

/** Of the body of a PATCH: any field of these, and in each null, which no schema of a field allows. */
export function toPatchProperties(names: readonly string[]): Readonly<Record<string, object>> {
  return Object.fromEntries(names.map((name) => [name, {}]));
}

/** Null takes a field back: of a field that there is none, that would be taken for done. Throws `invalid`. */
export function refuseUnknown(body: Fields, known: Readonly<Record<string, object>>): void {
  const unknown = Object.keys(body).filter((name) => body[name] === null && !Object.hasOwn(known, name));
  if (unknown.length > 0) throw invalid(unknown.map((name) => ({ path: name, message: 'is not a known field' })));
}
