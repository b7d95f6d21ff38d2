/** The provider simulators' process: `PORT` (9400), `HOST` (127.0.0.1). One kind for now: `http`, at the root. */
import { createHttpProvider } from './http/http-provider.ts';
import { createSimulatorServer } from './server.ts';
import { createSimulator } from './simulator.ts';

const port = Number(process.env['PORT'] || 9400);
const host = process.env['HOST'] || '127.0.0.1';
if (!Number.isInteger(port) || port < 0 || port > 65_535) {
  console.error(`PORT: expected a port number, got ${JSON.stringify(process.env['PORT'])}`);
  process.exit(1);
}

const simulator = createSimulator({
  provider: createHttpProvider(),
  now: () => performance.timeOrigin + performance.now(),
  random: Math.random,
  wait: (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
  keepCalls: 10_000,
});
const server = createSimulatorServer(new Map([['', simulator]]));

server.on('error', (error) => {
  console.error(`the simulator cannot listen on ${host}:${port}: ${error.message}`);
  process.exit(1);
});
server.listen(port, host, () => console.log(JSON.stringify({ name: 'simulator', msg: 'listening', host, port })));

for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  process.once(signal, () => {
    server.close(() => process.exit(0));
    server.closeIdleConnections();
    // Calls that hang or wait out a latency are of no use to anybody any more.
    setTimeout(() => server.closeAllConnections(), 1_000).unref();
  });
}
