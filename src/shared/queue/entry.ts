/**
 * An operation as a stream's entry: `o` a short JSON array, `d` the data's text verbatim (so that it is parsed only where
 * somebody must look inside), `r` the record's digest. Always the same three fields: Redis then stores their names once a node.
 */
import {
  type Change,
  defaultEntity,
  defaultSource,
  type Operation,
  type OperationKind,
  type Place,
  parseQueueName,
} from '../domain/operation.ts';

const codes: Record<OperationKind, string> = { create: 'c', update: 'u', upsert: 'p', delete: 'd', read: 'r' };
const kinds = new Map(Object.entries(codes).map(([kind, code]) => [code, kind as OperationKind]));

type Header = readonly [code: string, recordId: string, timestampMs: number, entity?: string, source?: string, isInDoubt?: 1];

export function formatHeader(change: Change): string {
  const header: Header = [codes[change.kind], change.recordId, change.timestampMs];
  if (change.entity === defaultEntity && change.source === defaultSource) return JSON.stringify(header);
  return JSON.stringify([
    ...header,
    change.entity === defaultEntity ? '' : change.entity,
    change.source === defaultSource ? '' : change.source,
  ]);
}

/**
 * The header of a dead letter: whether an attempt may have been carried out that nobody knows the end of. What the letter is retried as is an entry
 * with this header; a trial could not tell it, as those of entries that nobody has read are not looked at.
 */
export function withDoubt(header: string, isInDoubt: boolean): string {
  const [code, recordId, timestampMs, entity = '', source = '', before] = JSON.parse(header) as Header;
  if (isInDoubt === (before === 1)) return header;
  return JSON.stringify([code, recordId, timestampMs, entity, source, ...(isInDoubt ? [1] : [])]);
}

export type ParsedEntry = Omit<Change, 'provider' | 'tenant'> & {
  /** It is the retry of a dead letter that ended in doubt. */
  readonly isInDoubt: boolean;
};

/** What an entry's own texts say; its queue and its id say the rest. Throws where the text is no header: a bug, or a foreign writer. */
export function parseEntry(header: string, data: string): ParsedEntry {
  const [code, recordId, timestampMs, entity, source, isInDoubt] = JSON.parse(header) as Header;
  const kind = kinds.get(code);
  if (!kind) throw new Error('unknown operation code');
  return {
    kind,
    entity: entity || defaultEntity,
    recordId,
    timestampMs,
    source: source || defaultSource,
    dataJson: data === '' ? undefined : data,
    isInDoubt: isInDoubt === 1,
  };
}

/** Throws where the header is none, with the entry's name. */
export function parseOperation(place: Place, header: string, data: string): Operation {
  try {
    const { isInDoubt: _, ...change } = parseEntry(header, data);
    return { ...change, ...parseQueueName(place.queue), place };
  } catch (cause) {
    throw new Error(`entry ${place.ms}-${place.rank} of ${place.queue}: ${(cause as Error).message}`, { cause });
  }
}

export const kindCode = (kind: OperationKind): string => codes[kind];
export const kindOfCode = (code: string): OperationKind | undefined => kinds.get(code);
