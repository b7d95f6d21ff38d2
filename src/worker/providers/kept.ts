/**
 * What is kept of an outcome, in statuses, dead letters and logs: without our credentials, and bounded.
 *
 * Adapters read answers as they came, and hand over words, answers and results whole: ids and structure may hold a short secret by chance,
 * and would be garbled. Here, at the one way out, all of that is masked first and cut after: a cut before would leave the beginning of a
 * secret that nothing recognizes.
 */
import { jsonText, memberOf } from './json-members.ts';
import type { Mask } from './masking.ts';
import type { CallOutcome } from './provider.ts';

/** Long enough for a provider's words about a few fields; the answer itself says more. */
const maxMessageLength = 400;
/** For people and for the dead-letter queue: a few kilobytes say what went wrong. */
const maxAnswerLength = 4_096;
/** The result of a read is kept with its status in Redis. */
export const maxResultBytes = 16 * 1024;

/** One for an answer: calls that share it share what is kept of it. */
export function createKeeping(mask: Mask): (outcome: CallOutcome) => CallOutcome {
  let raw: string | undefined;
  let kept = '';

  function keptAnswer(answer: string): string {
    if (answer !== raw) {
      raw = answer;
      kept = mask.apply(answer, true).slice(0, maxAnswerLength);
    }
    return kept;
  }

  return (outcome) => {
    if (outcome.status === 'accepted') return keptSuccess(outcome, mask);
    if (outcome.status === 'unsent') return { status: 'unsent', reason: cut(mask.apply(outcome.reason, true)) };
    const { answer, ...error } = outcome.error;
    const message = cut(mask.apply(error.message, true));
    return { status: 'failed', error: { ...error, message, ...(answer === undefined ? {} : { answer: keptAnswer(answer) }) } };
  };
}

function cut(text: string): string {
  return text.length > maxMessageLength ? `${text.slice(0, maxMessageLength)}…` : text;
}

type Success = Extract<CallOutcome, { status: 'accepted' }>;

/** An id is a link that has to be right, so it stays as it is; one that is our own credential is none. */
function keptSuccess(outcome: Success, mask: Mask): Success {
  const { providerRecordId, result } = outcome;
  const isEcho = providerRecordId !== undefined && mask.isTold(providerRecordId);
  if (result === undefined && !isEcho) return outcome;
  const { providerRecordId: _, ...rest } = outcome;
  return {
    ...rest,
    ...(providerRecordId === undefined || isEcho ? {} : { providerRecordId }),
    ...(result === undefined ? {} : { result: keptResult(result, mask) }),
  };
}

function keptResult(result: unknown, mask: Mask): unknown {
  const part = memberOf(result, 'truncated') === true ? memberOf(result, 'text') : undefined;
  const whole = typeof result === 'string' ? result : jsonText(result);
  const text = typeof part === 'string' ? part : (whole ?? '');
  if (typeof part === 'string' || whole === undefined || Buffer.byteLength(text) > maxResultBytes)
    return { truncated: true, text: mask.apply(text, true).slice(0, maxResultBytes) };
  return mask.apply(text, true) === text ? result : maskedValue(result, mask);
}

/** Texts, names and numbers of a JSON value, each masked by itself, so that it stays one. */
function maskedValue(value: unknown, mask: Mask): unknown {
  const masked = (token: string): string => {
    const plain: unknown = JSON.parse(token);
    const text = String(plain);
    const shown = mask.apply(text, true);
    return shown === text ? token : JSON.stringify(shown);
  };
  // By its text, since a value may be nested too deeply for a function that calls itself.
  return JSON.parse((jsonText(value) ?? 'null').replace(/"[^"\\]*(?:\\.[^"\\]*)*"|-?[0-9][0-9.eE+-]*/g, masked));
}
