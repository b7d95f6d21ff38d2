/**
 * The outcome of a finished operation, packed: buckets of such values stay small in Redis (62 bytes each instead of 130) while every value is
 * at most 64 bytes, which most are; so a UUID is written in 22 characters. `<status><kind><acceptance, 4 digits of base 36><attempts>.<duration ms>` TAB
 * provider's record id TAB extras as JSON TAB entity TAB record id.
 */
import { defaultEntity, type FinalStatus, formatEntryId, type OperationKind, parseEntryId } from '../domain/operation.ts';
import { resultBucketSize } from '../redis/keys.ts';
import { kindCode, kindOfCode } from './entry.ts';

export interface ErrorView {
  readonly code: string;
  readonly message: string;
  readonly retryable: boolean;
  readonly providerStatus?: number | undefined;
}

export interface Outcome {
  readonly status: FinalStatus;
  readonly kind: OperationKind;
  readonly entity: string;
  readonly recordId: string;
  readonly acceptedAtMs: number;
  readonly completedAtMs: number;
  readonly attempts: number;
  readonly providerRecordId?: string | undefined;
  /** Entry id of the operation, in the same queue, that carried this one. */
  readonly carriedBy?: string | undefined;
  readonly result?: unknown;
  readonly error?: ErrorView | undefined;
}

const statusCodes: Record<FinalStatus, string> = { succeeded: 'S', coalesced: 'C', stale: 'T', dead_lettered: 'D', cancelled: 'X' };
const statuses = new Map(Object.entries(statusCodes).map(([status, code]) => [code, status as FinalStatus]));

interface Extras {
  c?: string;
  r?: unknown;
  e?: readonly [string, string, 0 | 1, number?];
}

/** What characters 3 to 6 of an outcome say: of results with the same field, whose it is. */
export const acceptanceDigits = (ms: number) => (ms % 36 ** 4).toString(36).padStart(4, '0');

export function packOutcome(outcome: Outcome): string {
  const duration = Math.max(0, outcome.completedAtMs - outcome.acceptedAtMs);
  const head = `${statusCodes[outcome.status]}${kindCode(outcome.kind)}${acceptanceDigits(outcome.acceptedAtMs)}${outcome.attempts.toString(36)}.${duration.toString(36)}`;
  const entity = outcome.entity === defaultEntity ? '' : escapeText(outcome.entity);
  return `${head}\t${escapeText(outcome.providerRecordId ?? '')}\t${packExtras(outcome)}\t${entity}\t${shorten(outcome.recordId)}`;
}

/** By hand: encodeURIComponent as a whole makes most texts longer, and throws on half a character. */
const escapeText = (text: string): string => text.replace(/[%\t]/g, encodeURIComponent);

function shortenEntryId(entryId: string): string {
  const { ms, rank } = parseEntryId(entryId);
  return `${ms.toString(36)}.${rank.toString(36)}`;
}

function lengthenEntryId(text: string): string {
  const [ms, rank] = text.split('.') as [string, string];
  return formatEntryId({ ms: Number.parseInt(ms, 36), rank: Number.parseInt(rank, 36) });
}

const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

/** `~` and 22 characters for a UUID; another id that begins with `~` gets a second one. */
function shorten(recordId: string): string {
  if (recordId.length === 36 && uuid.test(recordId)) return `~${Buffer.from(recordId.replaceAll('-', ''), 'hex').toString('base64url')}`;
  return recordId.startsWith('~') ? `~${recordId}` : recordId;
}

function lengthen(text: string): string {
  if (!text.startsWith('~')) return text;
  if (text.startsWith('~~')) return text.slice(1);
  const hex = Buffer.from(text.slice(1), 'base64url').toString('hex');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}

function packExtras(outcome: Outcome): string {
  if (!outcome.carriedBy && !outcome.error && outcome.result === undefined) return '';
  const extras: Extras = {};
  if (outcome.carriedBy) extras.c = shortenEntryId(outcome.carriedBy);
  if (outcome.result !== undefined) extras.r = outcome.result;
  if (outcome.error) {
    const { code, message, retryable, providerStatus } = outcome.error;
    extras.e = providerStatus === undefined ? [code, message, retryable ? 1 : 0] : [code, message, retryable ? 1 : 0, providerStatus];
  }
  return JSON.stringify(extras);
}

/** Undefined where the value is of another operation: same rank, accepted at another time. */
export function parseOutcome(text: string, acceptedAtMs: number): Outcome | undefined {
  if (text.slice(2, 6) !== acceptanceDigits(acceptedAtMs)) return undefined;
  const status = statuses.get(text[0] as string);
  const kind = kindOfCode(text[1] as string);
  if (!status || !kind) return undefined;
  const [head, providerRecordId, extrasJson, entity, ...rest] = text.split('\t') as [string, string, string, string, ...string[]];
  const [attempts, duration] = head.slice(6).split('.') as [string, string];
  const extras: Extras = extrasJson === '' ? {} : JSON.parse(extrasJson);
  return {
    status,
    kind,
    entity: entity === '' ? defaultEntity : decodeURIComponent(entity),
    recordId: lengthen(rest.join('\t')),
    acceptedAtMs,
    completedAtMs: acceptedAtMs + Number.parseInt(duration, 36),
    attempts: Number.parseInt(attempts, 36),
    providerRecordId: providerRecordId === '' ? undefined : decodeURIComponent(providerRecordId),
    carriedBy: extras.c && lengthenEntryId(extras.c),
    result: extras.r,
    error: extras.e && { code: extras.e[0], message: extras.e[1], retryable: extras.e[2] === 1, providerStatus: extras.e[3] },
  };
}

/** The field of an operation within its bucket. With `n` after it: the entry id that a dead letter was retried as. */
export const resultField = (rank: number): string => String(rank % resultBucketSize);
