/** The worker's small HTTP face: is it up, can it work, what does it count. */
import { serve } from '@hono/node-server';
import { Hono } from 'hono';
import { CannotListen } from '../shared/domain/start-problem.ts';
import type { Metrics } from '../shared/telemetry/metrics.ts';

export interface HealthDeps {
  readonly metrics: Metrics;
  /** Brings gauges up to date before a scrape. */
  collect(): void;
  /** Undefined when the worker can do its work now, else why not. */
  whyNotReady(): string | undefined;
}

export interface HealthServer {
  readonly port: number;
  close(): Promise<void>;
}

export function createHealthApp({ metrics, collect, whyNotReady }: HealthDeps): Hono {
  const app = new Hono();
  app.get('/healthz', (c) => c.json({ status: 'up' }));
  app.get('/readyz', (c) => {
    const reason = whyNotReady();
    return reason === undefined ? c.json({ status: 'ready' }) : c.json({ status: 'not_ready', reason }, 503);
  });
  app.get('/metrics', async (c) => {
    collect();
    return c.text(await metrics.expose(), 200, { 'content-type': metrics.contentType });
  });
  return app;
}

/** Listens; port 0 takes a free one. Rejects with `CannotListen`. */
export function startHealthServer(deps: HealthDeps, { host, port }: { host: string; port: number }): Promise<HealthServer> {
  return new Promise((resolve, reject) => {
    const server = serve({ fetch: createHealthApp(deps).fetch, hostname: host, port }, (address) => {
      resolve({ port: address.port, close: () => new Promise((done) => server.close(() => done())) });
    });
    server.on('error', (error: Error) => reject(new CannotListen({ host, port }, error)));
  });
}
