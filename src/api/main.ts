/** The API process: settings from the environment, signals, exit codes. */
import { readFileSync } from 'node:fs';
import { parseSettings, type Settings, SettingsError, summarizeSettings } from '../shared/config/settings.ts';
import { stopOnSignals } from '../shared/config/stop-on-signals.ts';
import { StartProblem } from '../shared/domain/start-problem.ts';
import { createLogger } from '../shared/telemetry/logger.ts';
import { anonymousProblem } from './anonymous.ts';
import { type Api, startApi } from './api.ts';
import { type ApiKey, parseApiKeys } from './api-keys.ts';

/** Over and above the drain: the time to end connections. */
const exitGraceMs = 2_000;

function readSettings(): { settings: Settings; apiKeys: readonly ApiKey[] } {
  const settings = parseSettings(process.env);
  const apiKeys = settings.apiKeys === undefined ? [] : parseApiKeys(settings.apiKeys, (path) => readFileSync(path, 'utf8'));
  const refusal = anonymousProblem(settings, apiKeys.length);
  if (refusal !== undefined) throw new SettingsError([refusal]);
  return { settings, apiKeys };
}

function giveUp(error: unknown): never {
  if (!(error instanceof StartProblem)) throw error;
  console.error(error.message);
  process.exit(2);
}

try {
  const { settings, apiKeys } = readSettings();
  const logger = createLogger({ level: settings.logLevel, name: 'api' });
  let api: Api | undefined;
  // One that is still starting has accepted no request.
  stopOnSignals({ name: 'api', log: logger, stop: async () => api?.stop(), withinMs: settings.drainMs + exitGraceMs });
  logger.info({ settings: summarizeSettings(settings) }, 'api starts');
  if (apiKeys.length === 0) logger.warn('no API keys are set (SLUICE_API_KEYS): requests need no key');
  api = await startApi(settings, apiKeys, logger);
  api.started.catch(giveUp);
  logger.info({ host: settings.host, port: api.port }, 'api listens');
} catch (error) {
  giveUp(error);
}
