/** The worker process: settings from the environment, signals, exit codes. */
import { setFlagsFromString } from 'node:v8';
import { parseSettings, summarizeSettings } from '../shared/config/settings.ts';
import { isStartProblem } from '../shared/domain/start-problem.ts';
import { createLogger } from '../shared/telemetry/logger.ts';
import { startWorker } from './worker.ts';

// Left alone, V8 lets the old generation grow to four times what is alive before it collects it (decision 0015).
setFlagsFromString('--heap-growing-percent=40');

try {
  const settings = parseSettings(process.env);
  const log = createLogger({ level: settings.logLevel, name: 'worker' });
  log.info({ settings: summarizeSettings(settings) }, 'worker starts');
  const worker = await startWorker(settings, log);
  log.info({ worker: worker.id, port: worker.healthPort }, 'worker runs');
  let isStopping = false;
  const stop = (signal: string) => {
    if (isStopping) return;
    isStopping = true;
    log.info({ signal }, 'worker stops');
    worker.stop().then(
      () => {
        log.info('worker stopped');
        process.exit(0);
      },
      (error) => {
        log.error({ err: error }, 'worker did not stop cleanly');
        process.exit(1);
      },
    );
  };
  process.on('SIGTERM', () => stop('SIGTERM'));
  process.on('SIGINT', () => stop('SIGINT'));
} catch (error) {
  if (!isStartProblem(error)) throw error;
  console.error(error.message);
  process.exit(2);
}
