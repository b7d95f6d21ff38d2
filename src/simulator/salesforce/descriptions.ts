/** What the org says of itself: versions, resources, types, fields. As far as clients ask. */
import type { Reply } from '../simulated-provider.ts';
import type { FieldKind } from './object-types.ts';
import { systemFields } from './object-types.ts';
import { type Org, objectTypeOf } from './org.ts';

/** `/services/data`, which needs no token. */
export function listVersions({ settings }: Org): Reply {
  const { min_version, max_version } = settings;
  const versions = Array.from({ length: max_version - min_version + 1 }, (_, index) => `${min_version + index}.0`);
  return { status: 200, body: versions.map((version) => ({ label: `Release ${version}`, url: `/services/data/v${version}`, version })) };
}

/** `/services/data/vNN.0` */
export function listResources(org: Org, version: number, baseUrl: string): Reply {
  const names = ['composite', 'jobs', 'limits', 'query', 'queryAll', 'sobjects'];
  const resources = Object.fromEntries(names.map((name) => [name, `/services/data/v${version}.0/${name}`]));
  return { status: 200, body: { ...resources, identity: identityUrl(org, baseUrl) } };
}

export function identityUrl({ settings }: Org, baseUrl: string): string {
  return `${baseUrl}/id/${settings.organization_id}/${settings.user_id}`;
}

/** `/id/{organization}/{user}` */
export function identity(org: Org, baseUrl: string): Reply {
  const { organization_id, user_id, username } = org.settings;
  const id = identityUrl(org, baseUrl);
  return { status: 200, body: { id, user_id, organization_id, username: username ?? 'sync@example.com', active: true } };
}

/** `/sobjects` */
export function listTypes(org: Org, version: number): Reply {
  const sobjects = Object.keys(org.settings.objects).map((name) => head(org, name, version));
  return { status: 200, body: { encoding: 'UTF-8', maxBatchSize: 200, sobjects } };
}

/** `/sobjects/{Type}` */
export function typeHead(org: Org, typeName: string, version: number): Reply {
  return { status: 200, body: { objectDescribe: head(org, typeName, version), recentItems: [] } };
}

/** `/sobjects/{Type}/describe` */
export function describeType(org: Org, typeName: string, version: number): Reply {
  const { fields, required } = objectTypeOf(org, typeName);
  const { external_id_fields, unique_external_ids, lookup_fields } = org.settings;
  const named = { ...systemFields, ...fields, ...Object.fromEntries(external_id_fields.map((name) => [name, fields[name] ?? 255])) };
  const described = Object.entries(named).map(([name, kind]) => ({
    name,
    label: name,
    type: typeOf(name, kind),
    length: lengthOf(kind),
    custom: name.endsWith('__c'),
    createable: kind !== 'read_only',
    updateable: kind !== 'read_only',
    nillable: !required.includes(name) && kind !== 'boolean' && !(name in systemFields),
    externalId: external_id_fields.includes(name),
    unique: unique_external_ids && external_id_fields.includes(name),
    idLookup: name === 'Id' || external_id_fields.includes(name) || lookup_fields.includes(name),
  }));
  return { status: 200, body: { ...head(org, typeName, version), fields: described } };
}

function head(org: Org, name: string, version: number) {
  const url = `/services/data/v${version}.0/sobjects/${name}`;
  return {
    name,
    label: name,
    keyPrefix: objectTypeOf(org, name).prefix,
    custom: name.endsWith('__c'),
    createable: true,
    deletable: true,
    queryable: true,
    replicateable: true,
    retrieveable: true,
    updateable: true,
    urls: { sobject: url, describe: `${url}/describe`, rowTemplate: `${url}/{ID}` },
  };
}

function typeOf(name: string, kind: FieldKind): string {
  if (name === 'Id') return 'id';
  if (name === 'IsDeleted') return 'boolean';
  if (name.endsWith('Date') || name === 'SystemModstamp') return 'datetime';
  return typeof kind === 'number' || kind === 'read_only' ? 'string' : kind;
}

function lengthOf(kind: FieldKind): number {
  if (typeof kind === 'number') return kind;
  return kind === 'email' ? 80 : kind === 'reference' ? 18 : 0;
}
