/**
 * The records of the simulated HubSpot, archived ones with them, and an index of the values that must be unique. Only records that are
 * not archived hold unique values. What a write does to a record is told to `onChange`, property by property, as webhooks are.
 */
import { movesStageBack, type ObjectType, uniqueProperties, type Values } from './properties.ts';
import type { HubspotSettings } from './settings.ts';

export interface HubspotRecord {
  readonly id: string;
  readonly type: ObjectType;
  readonly values: Values;
  readonly createdAtMs: number;
  readonly updatedAtMs: number;
  readonly archivedAtMs: number | undefined;
}

/** Who writes: the app behind a token, or a person. */
export type Author = 'app' | 'person';

export interface Change {
  readonly kind: 'creation' | 'propertyChange' | 'deletion';
  readonly record: HubspotRecord;
  /** Of a propertyChange. */
  readonly propertyName?: string;
  readonly propertyValue?: string;
  readonly author: Author;
  readonly atMs: number;
}

export interface ObjectStore {
  /** By its id, or by a unique property's value; undefined when there is none that is not archived. */
  find(type: ObjectType, key: string, idProperty?: string): HubspotRecord | undefined;
  findArchived(type: ObjectType, id: string): HubspotRecord | undefined;
  /** The record other than `exceptId` that has one of the values already. */
  holderOf(type: ObjectType, values: Values, exceptId?: string): { readonly property: string; readonly id: string } | undefined;
  create(type: ObjectType, values: Values, author: Author): HubspotRecord;
  update(record: HubspotRecord, values: Values, author: Author): HubspotRecord;
  archive(record: HubspotRecord, author: Author): void;
  /** In order of their ids. */
  all(type: ObjectType): Iterable<HubspotRecord>;
  everything(): Iterable<HubspotRecord>;
  /** To be called when other properties are unique than before. */
  reindex(): void;
  clear(): void;
}

/** Those before are not given out, as in an account with some history. */
const firstOfStart = 501;

interface StoreDeps {
  readonly now: () => number;
  readonly idsFrom: number;
  readonly settings: () => HubspotSettings;
  readonly onChange: (change: Change) => void;
}

export function createObjectStore({ now, idsFrom, settings, onChange }: StoreDeps): ObjectStore {
  const records = new Map<string, HubspotRecord>();
  const holders = new Map<string, string>();
  let nextId = idsFrom + firstOfStart;

  const live = (id: string | undefined, type: ObjectType): HubspotRecord | undefined => {
    const record = id === undefined ? undefined : records.get(id);
    return record && record.type === type && record.archivedAtMs === undefined ? record : undefined;
  };

  function index(record: HubspotRecord, change: 'add' | 'remove'): void {
    for (const property of uniqueProperties(record.type, settings())) {
      const value = record.values[property];
      if (value === undefined) continue;
      const key = uniqueKey(record.type, property, value);
      if (change === 'add') holders.set(key, record.id);
      else if (holders.get(key) === record.id) holders.delete(key);
    }
  }

  function put(record: HubspotRecord): HubspotRecord {
    records.set(record.id, record);
    if (record.archivedAtMs === undefined) index(record, 'add');
    return record;
  }

  function tell(record: HubspotRecord, before: Values, author: Author): void {
    const names = new Set([...Object.keys(before), ...Object.keys(record.values)]);
    for (const propertyName of names) {
      const propertyValue = record.values[propertyName] ?? '';
      if (propertyValue === (before[propertyName] ?? '')) continue;
      onChange({ kind: 'propertyChange', record, propertyName, propertyValue, author, atMs: record.updatedAtMs });
    }
  }

  return {
    find(type, key, idProperty) {
      const isId = idProperty === undefined || idProperty === 'hs_object_id';
      return live(isId ? key : holders.get(uniqueKey(type, idProperty, key)), type);
    },
    findArchived(type, id) {
      const record = records.get(id);
      return record?.type === type && record.archivedAtMs !== undefined ? record : undefined;
    },
    holderOf(type, values, exceptId) {
      for (const property of uniqueProperties(type, settings())) {
        const value = values[property];
        const id = value ? holders.get(uniqueKey(type, property, value)) : undefined;
        if (id !== undefined && id !== exceptId) return { property, id };
      }
      return undefined;
    },
    create(type, values, author) {
      const atMs = Math.floor(now());
      const head = { id: String(nextId), createdAtMs: atMs, updatedAtMs: atMs, archivedAtMs: undefined };
      nextId += 1;
      const record = put({ ...head, type, values: merge({}, values) });
      onChange({ kind: 'creation', record, author, atMs });
      tell(record, {}, author);
      return record;
    },
    update(held, values, author) {
      index(held, 'remove');
      const record = put({ ...held, values: merge(held.values, values), updatedAtMs: Math.floor(now()) });
      tell(record, held.values, author);
      return record;
    },
    archive(held, author) {
      index(held, 'remove');
      const atMs = Math.floor(now());
      onChange({ kind: 'deletion', record: put({ ...held, archivedAtMs: atMs, updatedAtMs: atMs }), author, atMs });
    },
    *all(type) {
      for (const record of records.values()) if (record.type === type) yield record;
    },
    everything: () => records.values(),
    reindex() {
      holders.clear();
      for (const record of records.values()) if (record.archivedAtMs === undefined) index(record, 'add');
    },
    clear() {
      records.clear();
      holders.clear();
    },
  };
}

export function uniqueKey(type: ObjectType, property: string, value: string): string {
  return `${type.name}/${property}/${property === 'email' ? value.trim().toLowerCase() : value}`;
}

function merge(held: Values, values: Values): Values {
  const next: Record<string, string> = { ...held };
  for (const [name, value] of Object.entries(values)) {
    if (value === '') delete next[name];
    else if (name !== 'lifecyclestage' || !movesStageBack(held[name], value)) next[name] = value;
  }
  return next;
}
