/**
 * All routes on one Hono application, each also under /v1. What is not a route is a problem too: 404, or 405 with the methods there are.
 */
import { Hono } from 'hono';
import { routePath } from 'hono/route';
import { problem, problemResponse } from '../shared/domain/problem.ts';
import type { Metrics } from '../shared/telemetry/metrics.ts';
import type { Admit } from './door.ts';
import type { JudgeFault } from './fault.ts';
import { type ApiApp, createAddRoute, createRouter, type Env } from './route.ts';
import { addDlqRoutes, type DlqDeps } from './routes/dlq.ts';
import { addDocsRedirects, addDocsRoutes, describeApi } from './routes/docs.ts';
import { addOperatingRoutes, type OperatingDeps } from './routes/operating.ts';
import { addProviderStatusRoute, type ProviderStatusDeps } from './routes/provider-status.ts';
import { addProviderRoutes, type ProviderDeps } from './routes/providers.ts';
import { addRouteRoutes, type RouteDeps } from './routes/routes.ts';
import { addSyncRoutes, type SyncDeps } from './routes/sync.ts';

export interface AppDeps {
  readonly sync: SyncDeps;
  readonly providers: ProviderDeps & ProviderStatusDeps;
  readonly routes: RouteDeps;
  readonly dlq: DlqDeps;
  readonly operating: OperatingDeps;
  readonly admit: Admit;
  readonly judgeFault: JudgeFault;
  readonly requestId: (given: string | undefined) => string;
  readonly countRequest: CountRequest;
  /** Monotonic, ms. */
  readonly now: () => number;
}

/** Told of every answer; `route` is a declared path, or `none`. */
export type CountRequest = (route: string, method: string, status: number, seconds: number) => void;

export type ApiHono = Hono<Env>;

export function createApp(deps: AppDeps): ApiHono {
  const router = createRouter();
  const add = createAddRoute(router, deps.admit);
  addSyncRoutes(add, deps.sync);
  addProviderRoutes(add, deps.providers);
  addProviderStatusRoute(add, deps.providers);
  addRouteRoutes(add, deps.routes);
  addDlqRoutes(add, deps.dlq);
  addOperatingRoutes(add, deps.operating);
  addDocsRoutes(add, () => describeApi(router));

  const app = new Hono<Env>();
  observe(app, deps);
  app.route('/', router);
  app.route('/v1', router);
  addDocsRedirects(app);
  app.onError((error, c) => problemResponse(deps.judgeFault(error, { requestId: c.get('requestId'), route: c.req.path.slice(0, 200) })));
  const methodsOf = createMethodsOf(router);
  app.notFound((c) => {
    const methods = methodsOf(c.req.path);
    if (methods.length === 0) return problemResponse(problem('not_found'));
    return problemResponse(problem('method_not_allowed', { detail: `allowed: ${methods.join(', ')}` }), { allow: methods.join(', ') });
  });
  return app;
}

/** Names each request, counts it and takes its time. */
function observe(app: ApiHono, { requestId, countRequest, now }: AppDeps): void {
  app.use(async (c, next) => {
    const startedAt = now();
    c.set('requestId', requestId(c.req.header('x-request-id')));
    await next();
    c.res.headers.set('x-request-id', c.get('requestId'));
    countRequest(routeLabel(routePath(c, -1)), c.req.method, c.res.status, (now() - startedAt) / 1_000);
  });
}

/** The declared path of what was matched last; the middleware's own is `/*`. */
function routeLabel(path: string): string {
  const plain = path.startsWith('/v1/') ? path.slice(3) : path;
  return plain === '' || plain === '/*' || plain === '*' ? 'none' : plain;
}

/** The methods of a path, for `Allow`. */
function createMethodsOf(router: ApiApp): (path: string) => string[] {
  const shapes = new Map<string, Set<string>>();
  for (const { path, method } of router.routes) {
    if (method === 'ALL') continue;
    const methods = shapes.get(path) ?? new Set();
    methods.add(method);
    if (method === 'GET') methods.add('HEAD');
    shapes.set(path, methods);
  }
  const patterns = [...shapes].map(([path, methods]) => ({
    shape: new RegExp(`^(?:/v1)?${path.replaceAll('.', '\\.').replaceAll(/:[a-z_]+/g, '[^/]+')}$`),
    methods,
  }));
  return (path) => [...new Set(patterns.filter(({ shape }) => shape.test(path)).flatMap(({ methods }) => [...methods]))].sort();
}

/** Counters and histograms of requests; children are kept, since there are few routes, methods and statuses. */
export function createCountRequest(metrics: Pick<Metrics, 'httpRequests' | 'httpSeconds' | 'boundCounter'>): CountRequest {
  const counters = new Map<string, { add(): void }>();
  const knownMethods = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']);
  return (route, givenMethod, status, seconds) => {
    const method = knownMethods.has(givenMethod) ? givenMethod : 'other';
    const name = `${route} ${method} ${status}`;
    let counter = counters.get(name);
    if (!counter) {
      counter = metrics.boundCounter(metrics.httpRequests, { route, method, status: String(status) });
      counters.set(name, counter);
    }
    counter.add();
    metrics.httpSeconds.child({ route }).observe(seconds);
  };
}
