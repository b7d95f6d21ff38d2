/** How the simulated Outreach shows a record, and how it reads one that is written. */
import { headerOf, objectOf, parseJson } from '../request-reading.ts';
import type { SimulatedRequest } from '../simulated-provider.ts';
import { mediaType, type OutreachError, unsupportedMediaType, validationError } from './errors.ts';
import type { Resource, Write } from './resource-store.ts';
import type { Attribute, ResourceType } from './resource-types.ts';
import type { OutreachSettings } from './settings.ts';

/** `fields` are the attributes asked for; undefined for all. A webhook's secret is never shown. */
export function documentOf(resource: Resource, apiUrl: string, fields?: readonly string[]) {
  const { type, id } = resource;
  const attributes: Record<string, unknown> = {};
  for (const [name, { holds }] of type.attributes) {
    if (fields ? !fields.includes(name) : isLeftOut(resource, name)) continue;
    attributes[name] = attributeOf(resource, name) ?? (holds === 'list' ? [] : null);
  }
  return { type: type.name, id, attributes, relationships: relationshipsOf(resource), links: { self: `${apiUrl}/${type.plural}/${id}` } };
}

/** An attribute's value, those that the provider keeps itself with them; undefined when it has none. */
export function attributeOf({ type, attributes, createdAtMs, updatedAtMs }: Resource, name: string): unknown {
  if (name === 'createdAt') return new Date(createdAtMs).toISOString();
  if (name === 'updatedAt') return new Date(updatedAtMs).toISOString();
  if (type.name === 'prospect' && name === 'name') {
    const names = [attributes['firstName'], attributes['lastName']].filter((part) => part !== undefined);
    return names.length > 0 ? names.join(' ') : undefined;
  }
  return attributes[name];
}

function isLeftOut({ attributes }: Resource, name: string): boolean {
  return name === 'secret' || (/^custom\d+$/.test(name) && attributes[name] === undefined);
}

function relationshipsOf({ type, relationships }: Resource) {
  const toOne = type.toOne.map((name) => [name, { data: relationships[name] ?? null }]);
  const toMany = type.toMany.filter((name) => relationships[name] !== undefined).map((name) => [name, { data: relationships[name] }]);
  return Object.fromEntries([...toOne, ...toMany]);
}

/** What a request writes, or why it is refused. `id` is that of the path, undefined for a new record. */
export function readWrite(
  type: ResourceType,
  request: SimulatedRequest,
  { id, settings }: { readonly id: number | undefined; readonly settings: OutreachSettings },
): { readonly write: Write } | { readonly error: OutreachError } {
  const contentType = headerOf(request, 'content-type').split(';')[0]?.trim();
  if (settings.media_type_required && contentType !== mediaType) return { error: unsupportedMediaType };
  if (request.query.has('include')) return { error: validationError("The 'include' parameter is not allowed on writes.") };
  const data = objectOf(objectOf(parseJson(request.text))['data']);
  if (data['type'] !== type.name) return { error: validationError(`The type must be '${type.name}'.`, '/data/type') };
  if (id !== undefined && data['id'] !== id) {
    return { error: validationError('The id must be an integer, and that of the path.', '/data/id') };
  }
  const attributes = objectOf(data['attributes']);
  const error = badAttribute(type, attributes, settings) ?? badRelationship(type, objectOf(data['relationships']));
  if (error) return { error };
  const known = Object.entries(attributes).filter(([name]) => type.attributes.has(name));
  const related = Object.entries(objectOf(data['relationships'])).map(([name, value]) => [name, objectOf(value)['data'] ?? null]);
  return { write: { attributes: Object.fromEntries(known), relationships: Object.fromEntries(related) } };
}

function badAttribute(type: ResourceType, given: Readonly<Record<string, unknown>>, settings: OutreachSettings): OutreachError | undefined {
  for (const [name, value] of Object.entries(given)) {
    const attribute = type.attributes.get(name);
    const pointer = `/data/attributes/${name}`;
    if (!attribute) {
      if (settings.unknown_attributes === 'ignored') continue;
      return validationError(`The attribute '${name}' is not known.`, pointer);
    }
    if (attribute.isReadOnly) return validationError(`The attribute '${name}' is read-only.`, pointer);
    if (value === null) continue;
    if (!fits(attribute, value)) return validationError(`The value of '${name}' is not valid.`, pointer);
    if (isTooLong(attribute, value)) {
      return {
        status: 422,
        id: 'validationDataTooLongError',
        title: 'Validation Data Too Long Error',
        detail: 'Data provided is too long.',
      };
    }
  }
  return undefined;
}

function fits({ holds }: Attribute, value: unknown): boolean {
  switch (holds) {
    case 'text':
      return typeof value === 'string';
    case 'date':
    case 'time':
      return typeof value === 'string' && !Number.isNaN(Date.parse(value));
    case 'boolean':
      return typeof value === 'boolean';
    case 'integer':
      return Number.isInteger(value);
    case 'number':
      return typeof value === 'number';
    case 'list':
      return Array.isArray(value) && value.every((one) => typeof one === 'string');
  }
}

function isTooLong({ maxLength }: Attribute, value: unknown): boolean {
  return maxLength !== undefined && typeof value === 'string' && value.length > maxLength;
}

function badRelationship(type: ResourceType, given: Readonly<Record<string, unknown>>): OutreachError | undefined {
  for (const [name, value] of Object.entries(given)) {
    const { data } = objectOf(value);
    const isOne = type.toOne.includes(name) && (data === null || isLink(data));
    const isMany = type.toMany.includes(name) && Array.isArray(data) && data.every(isLink);
    if (!isOne && !isMany) return validationError(`The relationship '${name}' is not valid.`, `/data/relationships/${name}`);
  }
  return undefined;
}

function isLink(value: unknown): boolean {
  const { type, id } = objectOf(value);
  return typeof type === 'string' && Number.isInteger(id);
}
