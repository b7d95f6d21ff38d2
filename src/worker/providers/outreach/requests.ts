/** How Outreach's calls are written: JSON:API, but with ids that are numbers. */
import type { ExchangeRequest } from '../exchange.ts';
import type { Attributes, ResourceType } from './mapping.ts';

const mediaType = 'application/vnd.api+json';
const headers = { accept: mediaType };

export interface Requests {
  create(attributes: Attributes): ExchangeRequest;
  update(id: string, attributes: Attributes): ExchangeRequest;
  remove(id: string): ExchangeRequest;
  read(id: string): ExchangeRequest;
  /** Those whose attribute has this value, if Outreach can filter by it. */
  find(attribute: string, value: string): ExchangeRequest;
}

/** More than one is a surprise already; a filter that is not obeyed must not bring a whole page. */
const maxFound = '10';

/** `apiPath`: below the provider's address. */
export function createRequests(apiPath: string, { type, plural }: ResourceType): Requests {
  const root = `${apiPath}/${plural}`;
  return {
    create: (attributes) => ({ method: 'POST', path: root, headers, contentType: mediaType, body: { data: { type, attributes } } }),
    update: (id, attributes) => ({
      method: 'PATCH',
      path: `${root}/${id}`,
      headers,
      contentType: mediaType,
      body: { data: { type, id: toWireId(id), attributes } },
    }),
    remove: (id) => ({ method: 'DELETE', path: `${root}/${id}`, headers }),
    read: (id) => ({ method: 'GET', path: `${root}/${id}`, headers, isRead: true }),
    find(attribute, value) {
      const query = new URLSearchParams({ [`filter[${attribute}]`]: value, 'page[size]': maxFound });
      return { method: 'GET', path: `${root}?${query}`, headers, isRead: true };
    },
  };
}

/** Fit for a path and for `toWireId`: the ids of Outreach are whole numbers. */
export function isRecordId(id: string): boolean {
  return /^[0-9]{1,15}$/.test(id);
}

function toWireId(id: string): number {
  return Number(id);
}
