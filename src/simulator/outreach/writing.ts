/** Outreach's calls for one record: create, read, update, delete. */
import { randomHex } from '../random-ids.ts';
import type { Reply, SimulatedRequest } from '../simulated-provider.ts';
import { documentOf, readWrite } from './documents.ts';
import { mediaType, notFound, type OutreachError, toReply, validationError } from './errors.ts';
import type { Resource, ResourceStore, Write } from './resource-store.ts';
import type { ResourceType } from './resource-types.ts';
import type { OutreachSettings } from './settings.ts';

export interface WriteDeps {
  readonly store: ResourceStore;
  readonly settings: OutreachSettings;
  readonly apiUrl: string;
  readonly random: () => number;
}

export function create(type: ResourceType, request: SimulatedRequest, { store, settings, apiUrl, random }: WriteDeps): Reply {
  const read = readWrite(type, request, { id: undefined, settings });
  if ('error' in read) return toReply(read.error);
  const lacks = type.required.find((name) => !read.write.attributes[name]);
  const error = lacks === undefined ? badEmails(type, read.write, { store, settings }) : validationError(`${lacks} can't be blank.`);
  if (error) return toReply(error);
  const resource = store.create(type, withDefaults(type, read.write, random));
  return { status: 201, body: { data: documentOf(resource, apiUrl) }, contentType: mediaType };
}

export function update(resource: Resource, request: SimulatedRequest, { store, settings, apiUrl }: WriteDeps): Reply {
  const read = readWrite(resource.type, request, { id: resource.id, settings });
  if ('error' in read) return toReply(read.error);
  const error = badEmails(resource.type, read.write, { store, settings, exceptId: resource.id });
  if (error) return toReply(error);
  return { status: 200, body: { data: documentOf(store.update(resource, read.write), apiUrl) }, contentType: mediaType };
}

export function read(resource: Resource, { query }: SimulatedRequest, apiUrl: string): Reply {
  const fields = query.get(`fields[${resource.type.name}]`)?.split(',');
  return { status: 200, body: { data: documentOf(resource, apiUrl, fields) }, contentType: mediaType };
}

export function missing(type: ResourceType, id: string): Reply {
  return toReply(notFound(type.name, id));
}

function withDefaults(type: ResourceType, { attributes, relationships }: Write, random: () => number): Write {
  const defaults: Readonly<Record<string, Record<string, unknown>>> = {
    prospect: { externalSource: 'outreach-api', optedOut: false },
    account: { externalSource: 'outreach-api', named: true },
    webhook: { action: '*', resource: '*', active: true, payloadVersion: 1, cleanupToken: randomHex(32, random) },
  };
  return { attributes: { ...defaults[type.name], ...attributes }, relationships };
}

interface EmailCheck {
  readonly store: ResourceStore;
  readonly settings: OutreachSettings;
  readonly exceptId?: number;
}

function badEmails(type: ResourceType, { attributes }: Write, { store, settings, exceptId }: EmailCheck): OutreachError | undefined {
  const { emails } = attributes;
  if (type.name !== 'prospect' || !Array.isArray(emails)) return undefined;
  if (emails.some((email) => !/^[^\s@]+@[^\s@]+\.[^\s@.]+$/.test(email))) return validationError('Contacts email is invalid.');
  if (emails.some((email) => settings.excluded_emails.includes(email))) {
    return validationError('Contacts contact is using an excluded email address.');
  }
  return store.holderOf(emails, exceptId) === undefined ? undefined : duplicateEmail(settings);
}

function duplicateEmail({ duplicate_email }: OutreachSettings): OutreachError {
  if (duplicate_email === 'validation_error') return validationError('Contacts email hash has already been taken.');
  const detail = 'A Contact with this email_hash already exists.';
  return { status: 422, id: 'validationDuplicateValueError', title: 'Validation Duplicate Value Error', detail };
}
