/** What the parts of the simulated org share. */

import type { ProviderDeps } from '../simulated-provider.ts';
import { matchKeysOf } from './match-keys.ts';
import type { ObjectType } from './object-types.ts';
import { createRecordTable, type RecordTable } from './record-table.ts';
import { createIdMaker, type MakeId } from './salesforce-ids.ts';
import { type SalesforceSettings, settingsSchema } from './settings.ts';

export interface Org {
  /** Replaced as a whole when they change. */
  settings: SalesforceSettings;
  readonly table: RecordTable;
  readonly makeId: MakeId;
  readonly now: () => number;
  readonly random: () => number;
}

export function createOrg({ now, random, idsFrom }: Pick<ProviderDeps, 'now' | 'random' | 'idsFrom'>): Org {
  const org: Org = {
    settings: settingsSchema.parse({}),
    table: createRecordTable((row) => matchKeysOf(org.settings, row)),
    makeId: createIdMaker(idsFrom),
    now,
    random,
  };
  return org;
}

/** The type's own spelling of its name; undefined when the org has no such type. */
export function typeNameOf({ settings }: Org, name: string): string | undefined {
  if (Object.hasOwn(settings.objects, name)) return name;
  return Object.keys(settings.objects).find((known) => known.toLowerCase() === name.toLowerCase());
}

export function objectTypeOf({ settings }: Org, typeName: string): ObjectType {
  return settings.objects[typeName] as ObjectType;
}
