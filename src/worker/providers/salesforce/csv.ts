/**
 * CSV as Bulk API 2.0 wants it: comma, line feed, a header; an empty cell leaves a field alone, `#N/A` clears it. So records with different
 * fields share one table.
 */

const clearing = '#N/A';

/** Undefined for what a cell cannot hold: objects, lists, and the very text that clears. Null and the empty text clear. */
export function toCell(value: unknown): string | undefined {
  if (value === null || value === '') return clearing;
  if (typeof value === 'number' || typeof value === 'boolean') return String(value);
  return typeof value === 'string' && value !== clearing ? value : undefined;
}

export function toLine(cells: readonly string[]): string {
  return `${cells.map(quote).join(',')}\n`;
}

/** Spaces at the ends would be trimmed without quotes. */
function quote(cell: string): string {
  return /^$|^[^",\r\n\s](?:[^",\r\n]*[^",\r\n\s])?$/.test(cell) ? cell : `"${cell.replaceAll('"', '""')}"`;
}

/** Rows by the header's names; undefined where the text is no such table. Empty lines and a mark at the beginning are skipped. */
export function parseCsv(text: string): Record<string, string>[] | undefined {
  const lines = readLines(text.startsWith('\uFEFF') ? text.slice(1) : text);
  if (!lines) return undefined;
  const [names = [], ...rows] = lines.filter((line) => line.length > 1 || line[0] !== '');
  if (rows.some((row) => row.length !== names.length)) return undefined;
  return rows.map((row) => {
    const record: Record<string, string> = Object.create(null);
    for (const [index, name] of names.entries()) record[name] = row[index] as string;
    return record;
  });
}

/** Undefined where a quote is never closed, or something follows one that was. */
function readLines(text: string): string[][] | undefined {
  const lines: string[][] = [];
  let line: string[] = [];
  const shape = /(?:"([^"]*(?:""[^"]*)*)"|([^",\r\n]*))(,|\r\n|\n|\r|$)/y;
  while (shape.lastIndex < text.length || line.length > 0) {
    const match = shape.exec(text);
    if (!match) return undefined;
    const [, quoted, plain = '', end] = match;
    line.push(quoted === undefined ? plain : quoted.replaceAll('""', '"'));
    if (end === ',') continue;
    lines.push(line);
    line = [];
    if (end === '') break;
  }
  return lines;
}
