/** The API process: settings from the environment, signals, exit codes. */
import { readFileSync } from 'node:fs';
import { parseSettings, type Settings, SettingsError, summarizeSettings } from '../shared/config/settings.ts';
import { isStartProblem } from '../shared/domain/start-problem.ts';
import { createLogger, type Logger } from '../shared/telemetry/logger.ts';
import { anonymousProblem } from './anonymous.ts';
import { type Api, startApi } from './api.ts';
import { type ApiKey, parseApiKeys } from './api-keys.ts';

const stopSignals = ['SIGTERM', 'SIGINT'] as const;
/** Over and above the drain: the time to end connections. */
const exitGraceMs = 2_000;

function readSettings(): { settings: Settings; apiKeys: readonly ApiKey[] } {
  const settings = parseSettings(process.env);
  const apiKeys = settings.apiKeys === undefined ? [] : parseApiKeys(settings.apiKeys, (path) => readFileSync(path, 'utf8'));
  const refusal = anonymousProblem(settings, apiKeys.length);
  if (refusal !== undefined) throw new SettingsError([refusal]);
  return { settings, apiKeys };
}

function stopOnSignals(api: Api, settings: Settings, logger: Logger): void {
  let isStopping = false;
  const stop = (signal: string) => {
    if (isStopping) return;
    isStopping = true;
    logger.info({ signal }, 'api stops');
    setTimeout(() => process.exit(1), settings.drainMs + exitGraceMs).unref();
    api.stop().then(
      () => {
        logger.info('api stopped');
        process.exit(0);
      },
      (error) => {
        logger.error({ err: error }, 'api did not stop cleanly');
        process.exit(1);
      },
    );
  };
  for (const signal of stopSignals) process.on(signal, () => stop(signal));
}

function giveUp(error: unknown): never {
  if (!isStartProblem(error)) throw error;
  console.error(error.message);
  process.exit(2);
}

try {
  const { settings, apiKeys } = readSettings();
  const logger = createLogger({ level: settings.logLevel, name: 'api' });
  logger.info({ settings: summarizeSettings(settings) }, 'api starts');
  if (apiKeys.length === 0) logger.warn('no API keys are set (SLUICE_API_KEYS): requests need no key');
  const api = await startApi(settings, apiKeys, logger);
  api.started.catch(giveUp);
  stopOnSignals(api, settings, logger);
  logger.info({ host: settings.host, port: api.port }, 'api listens');
} catch (error) {
  giveUp(error);
}
