/**
 * Finds a record that may be there already, by its e-mail, else by our record id. Whether Outreach can filter by an external id is not
 * documented, and an API that does not know a filter may refuse it or ignore it. So an answer counts only as far as it proves itself: a
 * record is found if it really has the value; it is absent if nothing at all came; anything else leaves it unknown.
 */
import type { ProviderError } from '../../../shared/domain/provider-error.ts';
import type { Exchange } from '../exchange.ts';
import { listOf, memberOf } from '../json-members.ts';
import type { CallOutcome } from '../provider.ts';
import { readRefusal } from './errors.ts';
import type { Attributes, ResourceType } from './mapping.ts';
import { isRecordId, type Requests } from './requests.ts';

export interface FoundRecord {
  readonly id: string;
  readonly attributes: Attributes;
}

export type Found =
  | { readonly status: 'found'; readonly record: FoundRecord }
  | { readonly status: 'absent' }
  /** There is nothing to look it up by, or the answer does not tell. */
  | { readonly status: 'unknown' }
  /** There is no answer, or one that may be another later. */
  | { readonly status: 'ended'; readonly outcome: CallOutcome };

export interface Wanted {
  readonly emails: readonly string[];
  /** Undefined where our record id is not kept at Outreach. */
  readonly externalId: string | undefined;
}

export interface Finder {
  find(wanted: Wanted): Promise<Found>;
  findByExternalId(externalId: string | undefined): Promise<Found>;
}

/** Most e-mails of one record that are looked up. */
const maxEmails = 3;

export function createFinder(requests: Requests, type: ResourceType, exchange: Exchange): Finder {
  return {
    async find({ emails, externalId }) {
      let found: Found = { status: 'unknown' };
      for (const email of emails.slice(0, maxEmails)) {
        found = await findByEmail(email, externalId);
        if (found.status !== 'absent') break;
      }
      return found.status === 'unknown' ? findByExternalId(externalId) : found;
    },
    findByExternalId,
  };

  async function findByEmail(email: string, externalId: string | undefined): Promise<Found> {
    if (type.emails === undefined) return { status: 'unknown' };
    const { emails: attribute, externalId: own } = type;
    const has = (attributes: Attributes) =>
      listOf(attributes, attribute).some((item) => String(item).toLowerCase() === email.toLowerCase());
    const isOurs = (attributes: Attributes) => own !== undefined && externalId !== undefined && attributes[own] === externalId;
    return search(attribute, email, { has, isOurs });
  }

  async function findByExternalId(externalId: string | undefined): Promise<Found> {
    const { externalId: attribute } = type;
    // A comma makes a filter a list, and two dots make it a range.
    if (attribute === undefined || externalId === undefined || /,|\.\./.test(externalId)) return { status: 'unknown' };
    const has = (attributes: Attributes) => attributes[attribute] === externalId;
    return search(attribute, externalId, { has, isOurs: has });
  }

  async function search(
    attribute: string,
    value: string,
    { has, isOurs }: Record<'has' | 'isOurs', (a: Attributes) => boolean>,
  ): Promise<Found> {
    const reply = await exchange.request(requests.find(attribute, value));
    if (reply.status === 'ended') return reply;
    if (reply.code < 200 || reply.code >= 300) return unlessTold(readRefusal(reply, exchange.nowMs()).error);
    const data = memberOf(reply.json(), 'data');
    if (!Array.isArray(data)) return { status: 'unknown' };
    const records = data.flatMap((item) => readRecord(item) ?? []).filter((record) => has(record.attributes));
    const record = records.find((each) => isOurs(each.attributes)) ?? records[0];
    if (record) return { status: 'found', record };
    return { status: data.length === 0 ? 'absent' : 'unknown' };
  }
}

/** A filter that is not taken tells nothing; other refusals are not about the filter. */
function unlessTold(error: ProviderError): Found {
  if (error.kind === 'invalid' || error.kind === 'gone') return { status: 'unknown' };
  return { status: 'ended', outcome: { status: 'failed', error } };
}

/** A JSON:API resource object, as far as it is needed. */
export function readRecord(resource: unknown): FoundRecord | undefined {
  const id = memberOf(resource, 'id');
  const text = typeof id === 'number' || typeof id === 'string' ? String(id) : '';
  if (!isRecordId(text)) return undefined;
  const attributes = memberOf(resource, 'attributes');
  return { id: text, attributes: typeof attributes === 'object' && attributes !== null ? (attributes as Attributes) : {} };
}
