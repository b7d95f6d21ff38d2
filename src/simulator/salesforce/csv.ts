/** CSV as RFC 4180 has it: fields with a delimiter, a quote or a line break are quoted, quotes inside are doubled. */

export type ParsedCsv =
  | { readonly is: 'parsed'; readonly header: readonly string[]; readonly rows: readonly (readonly string[])[] }
  | { readonly is: 'malformed'; readonly message: string };

/** Reads lines that end in LF or CRLF; empty ones are no rows, and a row with another number of fields than the header is an error. */
export function parseCsv(text: string, delimiter: string): ParsedCsv {
  const lines = splitLines(text.replace(/^\uFEFF/, ''), delimiter);
  if (lines === undefined) return { is: 'malformed', message: 'a quoted field is not closed, or goes on after its quote' };
  const [header, ...rows] = lines.filter((fields) => fields.length > 1 || fields[0] !== '');
  if (!header) return { is: 'malformed', message: 'the header is missing' };
  const wrong = rows.findIndex((fields) => fields.length !== header.length);
  if (wrong >= 0) return { is: 'malformed', message: `row ${wrong + 1} has ${rows[wrong]?.length} fields, the header ${header.length}` };
  return { is: 'parsed', header, rows };
}

export function printCsv(lines: readonly (readonly string[])[], { delimiter, lineEnd }: { delimiter: string; lineEnd: string }): string {
  return lines.map((fields) => fields.map((field) => `"${field.replaceAll('"', '""')}"`).join(delimiter) + lineEnd).join('');
}

function splitLines(text: string, delimiter: string): string[][] | undefined {
  const lines: string[][] = [];
  let fields: string[] = [];
  let at = 0;
  while (at < text.length) {
    const field = text[at] === '"' ? quoted(text, at) : plain(text, at, delimiter);
    if (field === undefined) return undefined;
    fields.push(field.value);
    at = field.end;
    if (text[at] === delimiter) {
      at += 1;
      // A delimiter at the very end is followed by an empty field.
      if (at < text.length) continue;
      fields.push('');
    } else if (at < text.length) {
      const end = text.startsWith('\r\n', at) ? 2 : text[at] === '\n' ? 1 : 0;
      if (end === 0) return undefined;
      at += end;
    }
    lines.push(fields);
    fields = [];
  }
  return lines;
}

function plain(text: string, start: number, delimiter: string): { value: string; end: number } {
  let end = start;
  while (end < text.length && text[end] !== delimiter && text[end] !== '\n') end += 1;
  const isCrLf = text[end] === '\n' && text[end - 1] === '\r' && end > start;
  if (isCrLf) end -= 1;
  return { value: text.slice(start, end), end };
}

function quoted(text: string, start: number): { value: string; end: number } | undefined {
  let value = '';
  let at = start + 1;
  for (;;) {
    const quote = text.indexOf('"', at);
    if (quote < 0) return undefined;
    value += text.slice(at, quote);
    if (text[quote + 1] !== '"') return { value, end: quote + 1 };
    value += '"';
    at = quote + 2;
  }
}
