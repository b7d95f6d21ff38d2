/**
 * The simulators' HTTP server. Each simulated provider is mounted below a path; the one at '' takes what no other claims, and its
 * control routes are `/_control`, the others' `<mount>/_control`.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { control } from './control.ts';
import type { Reply, SimulatedRequest } from './simulated-provider.ts';
import type { Simulator } from './simulator.ts';

const maxBodyBytes = 16 * 1024 * 1024;
const controlPath = '/_control';

export function createSimulatorServer(mounts: ReadonlyMap<string, Simulator>): Server {
  const server = createServer((incoming, response) => {
    serve(mounts, incoming, response).catch((error: unknown) => {
      // A fault of the simulator's own must not look like one that it was told to have.
      send(response, { status: 500, body: { error: `the simulator failed: ${error instanceof Error ? error.stack : String(error)}` } });
    });
  });
  // Longer than any client keeps an idle connection, so that the client is the one that closes it.
  server.keepAliveTimeout = 75_000;
  return server;
}

async function serve(mounts: ReadonlyMap<string, Simulator>, incoming: IncomingMessage, response: ServerResponse): Promise<void> {
  const text = await readText(incoming);
  if (text === undefined) return send(response, { status: 413, body: { error: 'too large' } });
  const url = incoming.url ?? '/';
  const mark = url.indexOf('?');
  const path = mark < 0 ? url : url.slice(0, mark);
  const mount = [...mounts.keys()].find((prefix) => prefix !== '' && (path === prefix || path.startsWith(`${prefix}/`))) ?? '';
  const simulator = mounts.get(mount);
  if (!simulator) return send(response, { status: 404, body: { error: 'no provider is simulated here' } });
  const below = path.slice(mount.length);
  const query = new URLSearchParams(mark < 0 ? '' : url.slice(mark + 1));
  const { method = 'GET', headers } = incoming;
  const request: SimulatedRequest = { method, path: below, query, headers, text, baseUrl: `http://${headers.host ?? 'localhost'}${mount}` };
  if (below === controlPath || below.startsWith(`${controlPath}/`)) {
    return send(response, control(simulator, { ...request, path: below.slice(controlPath.length) }));
  }
  const ending = await simulator.call(request);
  if (ending.with === 'reply') send(response, ending.reply);
  else if (ending.with === 'cut') response.destroy();
}

/** The body as text, or undefined when it is larger than any provider would take. */
async function readText(incoming: IncomingMessage): Promise<string | undefined> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of incoming as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes <= maxBodyBytes) chunks.push(chunk);
  }
  return bytes > maxBodyBytes ? undefined : Buffer.concat(chunks).toString('utf8');
}

function send(response: ServerResponse, reply: Reply): void {
  if (response.destroyed || response.headersSent) return;
  const content = reply.text ?? (reply.body === undefined ? undefined : JSON.stringify(reply.body));
  if (content === undefined) {
    response.writeHead(reply.status, reply.headers).end();
    return;
  }
  const contentType = reply.contentType ?? 'application/json';
  response.writeHead(reply.status, { 'content-type': contentType, 'content-length': Buffer.byteLength(content), ...reply.headers });
  response.end(content);
}
