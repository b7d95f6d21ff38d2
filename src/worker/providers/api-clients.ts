/**
 * Connections to a provider's API where its address may come with the token: one client for each origin. There are few of them: that of
 * `base_url`, and where the account lives; a move of the account adds one. More than a handful is no account any more, so the oldest
 * is closed then, and made again should it be called after all.
 */
import { createHttpClient, type HttpClient, type HttpClientOptions } from './http-call.ts';

const maxOrigins = 8;

export interface Api {
  readonly client: HttpClient;
  /** To be put before every path; without a slash at its end. */
  readonly basePath: string;
}

export interface ApiClients {
  at(baseUrl: string): Api;
  /** Cuts the calls in flight. */
  close(): Promise<void>;
}

export function createApiClients(options: Omit<HttpClientOptions, 'origin'>): ApiClients {
  const clients = new Map<string, HttpClient>();

  function clientOf(origin: string): HttpClient {
    const known = clients.get(origin);
    if (known) return known;
    if (clients.size >= maxOrigins) closeOldest();
    const client = createHttpClient({ ...options, origin });
    clients.set(origin, client);
    return client;
  }

  function closeOldest(): void {
    const [oldest] = clients;
    if (!oldest) return;
    clients.delete(oldest[0]);
    oldest[1].close().catch(() => {});
  }

  return {
    at(baseUrl) {
      const { origin, pathname } = new URL(baseUrl);
      return { client: clientOf(origin), basePath: pathname.replace(/\/+$/, '') };
    },
    async close() {
      await Promise.all([...clients.values()].map((client) => client.close()));
    },
  };
}
