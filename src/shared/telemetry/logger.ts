/**
 * Logs: one JSON line each on standard output. Lines about an operation carry `operation_id`, `provider` and `shard`.
 *
 * Secrets stay out in three ways: fields that hold them are redacted by name, at the depths where our lines have them; errors are
 * written by name, code, message and stack only, for an ioredis error also carries the command with its arguments, which hold record
 * data; and credentials inside an address are masked in every text of an error. Lines are written synchronously: a worker thread or a
 * buffer would lose the last lines before a crash, which are the ones that matter.
 */
import { type DestinationStream, destination, type Logger as PinoLogger, pino } from 'pino';
import { maskText } from './redaction.ts';

export type Logger = PinoLogger;

const secretFields = [
  'auth',
  'auth_config',
  'authConfig',
  'authorization',
  'Authorization',
  'x-api-key',
  'X-Api-Key',
  'api_key',
  'apiKey',
  'cookie',
  'token',
  'access_token',
  'accessToken',
  'refresh_token',
  'refreshToken',
  'client_secret',
  'clientSecret',
  'password',
  'private_key',
  'privateKey',
  'secret',
  'encryptionKey',
];

const redactedPaths = secretFields.flatMap((field) => {
  const step = /^[A-Za-z_]+$/.test(field) ? field : `["${field}"]`;
  const nested = step.startsWith('[') ? step : `.${step}`;
  return [step, `*${nested}`, `*.*${nested}`];
});

export interface LoggerOptions {
  readonly level: string;
  /** The process: `api`, `worker`. */
  readonly name: string;
  /** Where lines go; standard output unless a test wants them. */
  readonly destination?: DestinationStream;
}

export function createLogger(options: LoggerOptions): Logger {
  return pino(
    {
      name: options.name,
      level: options.level,
      redact: { paths: redactedPaths, censor: '***' },
      serializers: { err: describeError, error: describeError },
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    options.destination ?? destination({ dest: 1, sync: true }),
  );
}

/** An error as a log line holds it; follows causes a few steps. */
export function describeError(error: unknown, depth = 0): unknown {
  if (!(error instanceof Error)) return maskText(String(error)).slice(0, 500);
  const code = (error as { code?: unknown }).code;
  return {
    type: error.name,
    message: maskText(error.message).slice(0, 2_000),
    ...(typeof code === 'string' || typeof code === 'number' ? { code } : {}),
    stack: maskText(error.stack ?? '').slice(0, 4_000),
    ...(error.cause !== undefined && depth < 4 ? { cause: describeError(error.cause, depth + 1) } : {}),
  };
}
