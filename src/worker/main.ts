/** The worker process: settings from the environment, signals, exit codes. */
import { setFlagsFromString } from 'node:v8';
import { parseSettings, summarizeSettings } from '../shared/config/settings.ts';
import { stopOnSignals } from '../shared/config/stop-on-signals.ts';
import { StartProblem } from '../shared/domain/start-problem.ts';
import { createLogger } from '../shared/telemetry/logger.ts';
import { startWorker, type Worker } from './worker.ts';

// Left alone, V8 lets the old generation grow to four times what is alive before it collects it (decision 0015).
setFlagsFromString('--heap-growing-percent=40');

try {
  const settings = parseSettings(process.env);
  const log = createLogger({ level: settings.logLevel, name: 'worker' });
  let worker: Worker | undefined;
  // One that is still waiting for Redis holds nothing that it would have to hand over.
  stopOnSignals({ name: 'worker', log, stop: async () => worker?.stop() });
  log.info({ settings: summarizeSettings(settings) }, 'worker starts');
  worker = await startWorker(settings, log);
  log.info({ worker: worker.id, port: worker.healthPort }, 'worker runs');
} catch (error) {
  if (!(error instanceof StartProblem)) throw error;
  console.error(error.message);
  process.exit(2);
}
