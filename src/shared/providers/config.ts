/** A provider's configuration as the rest of the system reads it: parsed, defaults filled in, units in the names. */
import type { ConflictMode } from '../domain/conflict.ts';

export interface RateLimit {
  readonly requests: number;
  readonly perMs: number;
  /** At most so many calls may start at one moment. */
  readonly burst: number;
}

export type AuthConfig =
  | { readonly type: 'none' }
  | { readonly type: 'bearer'; readonly token: string }
  | { readonly type: 'api_key'; readonly header: string; readonly value: string }
  | { readonly type: 'basic'; readonly username: string; readonly password: string }
  | {
      readonly type: 'oauth2_client_credentials';
      readonly tokenUrl: string;
      readonly clientId: string;
      readonly clientSecret: string;
      readonly scope?: string;
    }
  | {
      readonly type: 'oauth2_refresh_token';
      readonly tokenUrl: string;
      readonly clientId: string;
      readonly clientSecret: string;
      /** The first one: providers that rotate them give another with each refresh, which is kept sealed in Redis. */
      readonly refreshToken: string;
      readonly redirectUri?: string;
    }
  | {
      readonly type: 'salesforce_jwt';
      readonly loginUrl: string;
      readonly clientId: string;
      readonly username: string;
      /** PEM, PKCS#8 or PKCS#1. */
      readonly privateKey: string;
      /** The claim `aud`; default: https://login.salesforce.com, or https://test.salesforce.com where that is the login URL. */
      readonly audience?: string;
    };

export interface RetryPolicy {
  readonly maxAttempts: number;
  readonly baseMs: number;
  readonly maxMs: number;
  /** Measured from acceptance. */
  readonly maxAgeMs: number;
}

export interface BreakerPolicy {
  /** 0 to 1. */
  readonly failureRate: number;
  readonly minCalls: number;
  readonly windowMs: number;
  readonly openMs: number;
}

export interface BatchPolicy {
  readonly maxRecords: number;
  readonly maxWaitMs: number;
  /** The path of the kind `http`'s batch call, below `baseUrl`. */
  readonly path?: string;
}

export interface ProviderConfig {
  readonly name: string;
  /** Whose limits and credentials these are: the provider's name, or `<provider>:<tenant>` for a tenant with its own (queueName). */
  readonly account: string;
  readonly kind: string;
  readonly baseUrl: string;
  /** Secrets in the clear: lives in memory only, never logged, never written. */
  readonly auth: AuthConfig;
  readonly limits: readonly RateLimit[];
  readonly maxConcurrency: number;
  readonly timeoutMs: number;
  readonly retry: RetryPolicy;
  readonly breaker: BreakerPolicy;
  readonly batch: BatchPolicy | undefined;
  readonly coalesce: boolean;
  readonly conflict: ConflictMode;
  /** Source field to the provider's field; null leaves the field out. */
  readonly mapping: Readonly<Record<string, string | null>> | undefined;
  readonly unknownFields: 'pass' | 'drop' | 'refuse';
  /** JSON Schema of the mapped payload. */
  readonly schema: Readonly<Record<string, unknown>> | undefined;
  /** Method and path by operation, where they differ from the kind's own. */
  readonly endpoints: Readonly<Record<string, { readonly method: string; readonly path: string }>> | undefined;
  /** The kind's own settings, defaults filled in: see kinds/<kind>.ts. */
  readonly options: Readonly<Record<string, unknown>>;
  /** Paused by an operator. */
  readonly isPaused: boolean;
  /** Goes up by one with every change. */
  readonly version: number;
  /** When the provider was registered, RFC 3339: at another time, it is another provider of that name. */
  readonly createdAt: string;
}
