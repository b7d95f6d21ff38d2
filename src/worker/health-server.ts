/** The worker's small HTTP face: is it up, can it work, what does it count. Its errors are problems, as the API's are. */
import { serve } from '@hono/node-server';
import { Hono } from 'hono';
import { problem, problemResponse } from '../shared/domain/problem.ts';
import { CannotListen } from '../shared/domain/start-problem.ts';
import type { Metrics } from '../shared/telemetry/metrics.ts';

export interface HealthDeps {
  readonly metrics: Metrics;
  /** Brings gauges up to date before a scrape. */
  collect(): void;
  /** Undefined when the worker can do its work now, else why not. */
  whyNotReady(): string | undefined;
  /** Told of what went wrong here. */
  fault(error: unknown): void;
}

export interface HealthServer {
  readonly port: number;
  close(): Promise<void>;
}

export function createHealthApp({ metrics, collect, whyNotReady, fault }: HealthDeps): Hono {
  const app = new Hono();
  app.get('/healthz', (c) => c.json({ status: 'up' }));
  app.get('/readyz', (c) => {
    const reason = whyNotReady();
    return reason === undefined ? c.json({ status: 'ready' }) : problemResponse(problem('unavailable', { detail: reason }));
  });
  app.get('/metrics', async (c) => {
    collect();
    return c.text(await metrics.expose(), 200, { 'content-type': metrics.contentType });
  });
  const paths = new Set(app.routes.map(({ path }) => path));
  const allow = 'GET, HEAD';
  app.notFound((c) =>
    paths.has(c.req.path)
      ? problemResponse(problem('method_not_allowed', { detail: `allowed: ${allow}` }), { allow })
      : problemResponse(problem('not_found')),
  );
  app.onError((error) => {
    fault(error);
    return problemResponse(problem('internal'));
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
