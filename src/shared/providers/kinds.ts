/** The kinds of provider there is an adapter for: what each can do and what it needs. Data for the API; the adapters are the worker's. */
import { z } from 'zod';
import { type AuthWire, providerWire } from './wire.ts';

export interface ProviderKind {
  readonly name: string;
  readonly title: string;
  readonly description: string;
  readonly can: {
    readonly batch: boolean;
    readonly upsert: boolean;
    readonly read: boolean;
    /** It tells us of changes by calling us. */
    readonly webhook: boolean;
    /** It can be asked for changes since a point in time. */
    readonly poll: boolean;
  };
  readonly authTypes: readonly AuthWire['type'][];
  /** JSON Schema of the body that registers a provider of this kind. */
  readonly schema: Readonly<Record<string, unknown>>;
}

export type ProviderKinds = ReadonlyMap<string, ProviderKind>;

export function createProviderKinds(): ProviderKinds {
  const http: ProviderKind = {
    name: 'http',
    title: 'REST service',
    description:
      'Any service with JSON over HTTP: create by POST, update by PATCH, upsert by PUT, delete by DELETE, read by GET, under base_url; ' +
      'other methods and paths by endpoints; many records in one call by batch.path.',
    can: { batch: true, upsert: true, read: true, webhook: false, poll: false },
    authTypes: ['none', 'bearer', 'api_key', 'basic', 'oauth2_client_credentials'],
    schema: z.toJSONSchema(providerWire, { io: 'input' }) as Record<string, unknown>,
  };
  return new Map([[http.name, http]]);
}
