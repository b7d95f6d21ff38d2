/** The records of the simulated Outreach. Deleted ones are gone. Of e-mail addresses no two prospects have the same, whatever its case. */
import type { ResourceType } from './resource-types.ts';

export type Attributes = Readonly<Record<string, unknown>>;
export type Relationships = Readonly<Record<string, unknown>>;

export interface Resource {
  readonly id: number;
  readonly type: ResourceType;
  readonly attributes: Attributes;
  readonly relationships: Relationships;
  readonly createdAtMs: number;
  readonly updatedAtMs: number;
}

export interface Change {
  readonly action: 'created' | 'updated' | 'destroyed';
  readonly resource: Resource;
  /** What the write gave; of a deletion, all there was. */
  readonly attributes: Attributes;
  /** The values before, of an update. */
  readonly before: Attributes;
}

/** What a write gives: null clears. */
export interface Write {
  readonly attributes: Attributes;
  readonly relationships: Relationships;
}

export interface ResourceStore {
  find(type: ResourceType, id: number): Resource | undefined;
  /** The prospect other than `exceptId` that has one of the addresses. */
  holderOf(emails: readonly string[], exceptId?: number): number | undefined;
  /** By address; undefined when nobody has it. */
  byEmail(email: string): Resource | undefined;
  create(type: ResourceType, write: Write): Resource;
  update(resource: Resource, write: Write): Resource;
  delete(resource: Resource): void;
  /** In order of their ids. */
  all(type: ResourceType): Iterable<Resource>;
  everything(): Iterable<Resource>;
  clear(): void;
}

interface StoreDeps {
  readonly now: () => number;
  readonly idsFrom: number;
  readonly onChange: (change: Change) => void;
}

export function createResourceStore({ now, idsFrom, onChange }: StoreDeps): ResourceStore {
  const resources = new Map<string, Resource>();
  const emailHolders = new Map<string, number>();
  let nextId = idsFrom + 1;
  const keyOf = (type: ResourceType, id: number) => `${type.name}/${id}`;

  function put(resource: Resource): Resource {
    resources.set(keyOf(resource.type, resource.id), resource);
    for (const email of emailsOf(resource)) emailHolders.set(email, resource.id);
    return resource;
  }

  function freeEmails(resource: Resource): void {
    for (const email of emailsOf(resource)) if (emailHolders.get(email) === resource.id) emailHolders.delete(email);
  }

  return {
    find: (type, id) => resources.get(keyOf(type, id)),
    holderOf: (emails, exceptId) =>
      emails.map((email) => emailHolders.get(email.toLowerCase())).find((id) => id !== undefined && id !== exceptId),
    byEmail(email) {
      const id = emailHolders.get(email.toLowerCase());
      return id === undefined ? undefined : resources.get(`prospect/${id}`);
    },
    create(type, { attributes, relationships }) {
      const atMs = Math.floor(now());
      const resource = put({ id: nextId, type, attributes: merge({}, attributes), relationships, createdAtMs: atMs, updatedAtMs: atMs });
      nextId += 1;
      onChange({ action: 'created', resource, attributes: resource.attributes, before: {} });
      return resource;
    },
    update(held, { attributes, relationships }) {
      freeEmails(held);
      const resource = put({
        ...held,
        attributes: merge(held.attributes, attributes),
        relationships: { ...held.relationships, ...relationships },
        updatedAtMs: Math.floor(now()),
      });
      const changed = Object.keys(attributes).filter((name) => !isSame(held.attributes[name], resource.attributes[name]));
      const pick = (from: Attributes) => Object.fromEntries(changed.map((name) => [name, from[name] ?? null]));
      if (changed.length > 0)
        onChange({ action: 'updated', resource, attributes: pick(resource.attributes), before: pick(held.attributes) });
      return resource;
    },
    delete(resource) {
      freeEmails(resource);
      resources.delete(keyOf(resource.type, resource.id));
      onChange({ action: 'destroyed', resource, attributes: resource.attributes, before: {} });
    },
    *all(type) {
      for (const resource of resources.values()) if (resource.type === type) yield resource;
    },
    everything: () => resources.values(),
    clear() {
      resources.clear();
      emailHolders.clear();
    },
  };
}

function emailsOf({ type, attributes }: Resource): readonly string[] {
  const emails = type.name === 'prospect' ? attributes['emails'] : undefined;
  return Array.isArray(emails) ? emails.map((email) => String(email).toLowerCase()) : [];
}

function merge(held: Attributes, next: Attributes): Attributes {
  return Object.fromEntries(Object.entries({ ...held, ...next }).filter(([, value]) => value !== null));
}

function isSame(a: unknown, b: unknown): boolean {
  return JSON.stringify(a ?? null) === JSON.stringify(b ?? null);
}
