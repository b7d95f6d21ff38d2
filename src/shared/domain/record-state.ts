/**
 * What is known of a record at a provider: the newest change applied there. Last write wins is decided against it, by the change's
 * own timestamp; equal timestamps by the order of acceptance. In field mode each field carries its own stamp.
 */
export interface Stamp {
  readonly ms: number;
  readonly rank: number;
}

export interface RecordState {
  /** The newest change applied. */
  readonly stamp: Stamp;
  /** That change was a delete. */
  readonly isDeleted: boolean;
  readonly providerRecordId: string | undefined;
  /** Field mode: stamp of each field written since the record was last deleted. */
  readonly fields: ReadonlyMap<string, Stamp> | undefined;
}

export function isOlder(a: Stamp, b: Stamp): boolean {
  return a.ms < b.ms || (a.ms === b.ms && a.rank < b.rank);
}

const formatStamp = (stamp: Stamp) => `${stamp.ms.toString(36)}.${stamp.rank.toString(36)}`;

function parseStamp(text: string): Stamp {
  const dot = text.indexOf('.');
  return { ms: Number.parseInt(text.slice(0, dot), 36), rank: Number.parseInt(text.slice(dot + 1), 36) };
}

/** `<stamp>[!][|<provider's id>[|<fields>]]`: about 13 bytes for most records, since there may be millions. */
export function packRecordState(state: RecordState): string {
  const head = formatStamp(state.stamp) + (state.isDeleted ? '!' : '');
  if (!state.providerRecordId && !state.fields) return head;
  // Escaped by hand: encodeURIComponent throws on half a character, and a provider may send one.
  // Control characters too: one of them separates the texts that claim.lua joins.
  const id = (state.providerRecordId ?? '').replace(/[%|\p{Cc}]/gu, encodeURIComponent);
  if (!state.fields) return `${head}|${id}`;
  return `${head}|${id}|${JSON.stringify([...state.fields].map(([name, stamp]) => [name, stamp.ms, stamp.rank]))}`;
}

export function parseRecordState(text: string): RecordState {
  const bar = text.indexOf('|');
  const head = bar < 0 ? text : text.slice(0, bar);
  const isDeleted = head.endsWith('!');
  const stamp = parseStamp(isDeleted ? head.slice(0, -1) : head);
  if (bar < 0) return { stamp, isDeleted, providerRecordId: undefined, fields: undefined };
  const second = text.indexOf('|', bar + 1);
  const id = text.slice(bar + 1, second < 0 ? undefined : second);
  const fields =
    second < 0
      ? undefined
      : new Map((JSON.parse(text.slice(second + 1)) as [string, number, number][]).map(([name, ms, rank]) => [name, { ms, rank }]));
  return { stamp, isDeleted, providerRecordId: id === '' ? undefined : decodeURIComponent(id), fields };
}
