/** The OpenAPI document, and its pages: Swagger UI from this process's own packages, nothing from another host. */
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import type { Hono } from 'hono';
import { z } from 'zod';
import { ProblemError, problemKinds } from '../../shared/domain/problem.ts';
import { providerWire } from '../../shared/providers/wire.ts';
import { routeWire } from '../../shared/routes/route.ts';
import { scopes } from '../api-keys.ts';
import type { AddRoute, ApiApp, Env } from '../route.ts';
import { pausedSchema, shownSchemas, withShown } from '../shown-members.ts';

const tag = 'documentation';

/** Only these leave the package's folder. */
const assetTypes: Readonly<Record<string, string>> = {
  'swagger-ui.css': 'text/css; charset=utf-8',
  'swagger-ui-bundle.js': 'text/javascript; charset=utf-8',
  'favicon-32x32.png': 'image/png',
};

const page = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Sluice API</title>
<link rel="icon" href="docs/favicon-32x32.png">
<link rel="stylesheet" href="docs/swagger-ui.css">
</head>
<body>
<div id="docs"></div>
<script src="docs/swagger-ui-bundle.js"></script>
<script src="docs/start.js"></script>
</body>
</html>
`;

/**
 * `validatorUrl: null`: the badge would ask a host of Swagger's. Requests are tried out only where somebody says so: one click on what drops all
 * dead letters is too few.
 */
const startScript = `SwaggerUIBundle({ url: 'openapi.json', dom_id: '#docs', deepLinking: true, validatorUrl: null });\n`;

const pagePolicy =
  "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
const pageHeaders = { 'content-security-policy': pagePolicy, 'x-content-type-options': 'nosniff', 'referrer-policy': 'no-referrer' };
const assetHeaders = { 'cache-control': 'public, max-age=86400', 'x-content-type-options': 'nosniff' };

/** `document` makes the OpenAPI document of all routes; it is called once. */
export function addDocsRoutes(add: AddRoute, document: () => object): void {
  let text: string | undefined;
  add(
    {
      method: 'get',
      path: '/openapi.json',
      summary: 'This document',
      tag,
      answers: { 200: { description: 'OpenAPI 3.1.', schema: { type: 'object' } } },
    },
    (c) => {
      text ??= JSON.stringify(document());
      return c.body(text, 200, { 'content-type': 'application/json' });
    },
  );
  add(
    {
      method: 'get',
      path: '/docs',
      summary: 'This document as pages',
      tag,
      answers: { 200: { description: 'A page.', mediaType: 'text/html' } },
    },
    (c) => c.html(page, 200, pageHeaders),
  );
  add(
    {
      method: 'get',
      path: '/docs/{asset}',
      summary: 'What the page is made of',
      tag,
      params: z.object({ asset: z.string() }),
      answers: { 200: { description: 'A script, a style sheet or an image.', mediaType: 'text/plain' } },
      problems: ['not_found'],
    },
    async (c, { params: { asset } }) => {
      if (asset === 'start.js') return c.body(startScript, 200, { 'content-type': 'text/javascript; charset=utf-8', ...assetHeaders });
      const type = Object.hasOwn(assetTypes, asset) ? assetTypes[asset] : undefined;
      if (type === undefined) throw new ProblemError('not_found');
      return c.body(new Uint8Array(await readAsset(asset)), 200, { 'content-type': type, ...assetHeaders });
    },
  );
}

/**
 * To the pages, from where people look first. They are relative, so that they hold behind a proxy that puts a path in front, and no part of
 * the document: nothing but a browser needs them.
 */
export function addDocsRedirects(app: Hono<Env>): void {
  app.get('/', (c) => c.redirect('docs'));
  for (const path of ['/docs/', '/v1/docs/']) app.get(path, (c) => c.redirect('../docs'));
}

async function readAsset(name: string): Promise<Buffer> {
  const folder = dirname(createRequire(import.meta.url).resolve('swagger-ui-dist/package.json'));
  return readFile(join(folder, name));
}

/** The OpenAPI document of a router's routes. */
export function describeApi(router: ApiApp): object {
  const document = router.getOpenAPI31Document({
    openapi: '3.1.0',
    info: {
      title: 'Sluice',
      version: '1',
      license: { name: 'MIT' },
      description:
        'Keeps records in step with CRMs and other slow, limited APIs. Every route is also there under /v1. Errors are problem details (RFC 9457).',
    },
    servers: [{ url: '/' }, { url: '/v1' }],
  });
  const components = {
    ...document.components,
    schemas: {
      ...document.components?.schemas,
      Problem: problemSchema,
      Provider: withShown(z.toJSONSchema(providerWire, { io: 'input' }), { paused: pausedSchema, ...shownSchemas }),
      Route: withShown(z.toJSONSchema(routeWire, { io: 'input' }), shownSchemas),
    },
    securitySchemes: {
      bearer: { type: 'http', scheme: 'bearer', description: `An API key with the scope of the route: ${scopes.join(', ')}.` },
      apiKey: { type: 'apiKey', in: 'header', name: 'X-Api-Key' },
    },
  };
  return { ...document, components };
}

const problemSchema = {
  type: 'object',
  required: ['type', 'title', 'status', 'code'],
  properties: {
    type: { type: 'string', format: 'uri' },
    title: { type: 'string' },
    status: { type: 'integer' },
    code: { enum: Object.keys(problemKinds) },
    detail: { type: 'string' },
    errors: {
      type: 'array',
      items: { type: 'object', required: ['path', 'message'], properties: { path: { type: 'string' }, message: { type: 'string' } } },
    },
  },
};
