/** The table that a job uploads, and its rows' way back to the calls they stand for. */
import type { PreparedCall } from '../provider.ts';
import { toCell, toLine } from './csv.ts';
import type { RecordReply } from './requests.ts';
import { wireOf } from './wire-call.ts';

export interface Table {
  readonly csv: string;
  /** Places of the calls by their rows' keys. */
  readonly rows: ReadonlyMap<string, number>;
  /** Says what became of the row that a result repeats. */
  settle(row: Readonly<Record<string, string>>, reply: RecordReply | undefined): void;
  /** One for each call; `otherwise` for those in the table that nothing was said of. */
  replies(otherwise: () => RecordReply | undefined): (RecordReply | undefined)[];
}

/** The answers repeat the rows, with errors of up to half a kilobyte each, and an answer has 16 MiB at most (exchange-adapter.ts). */
const maxCsvBytes = 8 * 1024 * 1024;
const crowdedOut: RecordReply = { status: 'ended', outcome: { status: 'unsent', reason: 'the job was full' } };

/** Calls of one shape. Records that a table cannot hold stay out of it: their reply is undefined. */
export function createTable(calls: readonly PreparedCall[], externalIdField: string | null): Table {
  const isUpsert = calls[0] !== undefined && wireOf(calls[0]).shape === 'upsert';
  const keyColumn = isUpsert ? (externalIdField as string) : 'Id';
  const columns = [...new Set(calls.flatMap((prepared) => Object.keys(wireOf(prepared).fields)))];
  const rows = new Map<string, number>();
  const lines = [toLine([keyColumn, ...columns])];
  const outside = new Map<number, RecordReply | undefined>();
  const settled = new Map<number, RecordReply | undefined>();
  let bytes = 0;

  for (const [place, prepared] of calls.entries()) {
    const { id, fields } = wireOf(prepared);
    const key = isUpsert ? prepared.call.recordId : id;
    const cells = [key, ...columns.map((column) => (Object.hasOwn(fields, column) ? toCell(fields[column]) : ''))];
    const line = isWritable(cells) ? toLine(cells) : undefined;
    if (line === undefined) outside.set(place, undefined);
    else if (bytes + Buffer.byteLength(line) > maxCsvBytes) outside.set(place, crowdedOut);
    else {
      bytes += Buffer.byteLength(line);
      lines.push(line);
      rows.set(keyOf(key, isUpsert), place);
    }
  }

  return {
    csv: lines.join(''),
    rows,
    settle(row, reply) {
      const name = row[keyColumn] ?? row['sf__Id'];
      const place = name === undefined ? undefined : rows.get(keyOf(name, isUpsert));
      if (place !== undefined) settled.set(place, reply);
    },
    replies(otherwise) {
      return calls.map((_, place) => {
        if (outside.has(place)) return outside.get(place);
        return settled.has(place) ? settled.get(place) : otherwise();
      });
    },
  };
}

function isWritable(cells: readonly (string | undefined)[]): cells is string[] {
  return cells.every((cell) => cell !== undefined);
}

/** Ids come with or without the three characters that check them. */
export function keyOf(name: string, isExternal: boolean): string {
  return isExternal || name.length !== 18 ? name : name.slice(0, 15);
}
