/** The provider simulators' process: `PORT` (9400), `HOST` (127.0.0.1). Kind `http` is at the root, the CRMs below their names. */
import { createMounts } from './mounts.ts';
import { createSimulatorServer } from './server.ts';

const port = Number(process.env['PORT'] || 9400);
const host = process.env['HOST'] || '127.0.0.1';
if (!Number.isInteger(port) || port < 0 || port > 65_535) {
  console.error(`PORT: expected a port number, got ${JSON.stringify(process.env['PORT'])}`);
  process.exit(1);
}

const server = createSimulatorServer(createMounts({ keepCalls: 10_000 }));

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
