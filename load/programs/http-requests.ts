/**
 * HTTP/1.1 requests out of a connection's bytes, as cheaply as it goes: heads up to the blank line, bodies by their content-length.
 * Enough for the clients that the bench itself starts; Node's own server would cost several times as much, and what a provider costs
 * is missing from what is measured where all share two cores.
 */

export interface RawRequest {
  /** Request line and headers, latin1. */
  readonly head: string;
  readonly bytes: Buffer;
  readonly bodyStart: number;
  readonly bodyEnd: number;
}

const blankLine = Buffer.from('\r\n\r\n');
const nothing: Buffer = Buffer.alloc(0);

/** Takes chunks as they come; calls `onRequest` for each request that is complete. */
export function createRequestReader(onRequest: (request: RawRequest) => void): (chunk: Buffer) => void {
  let rest = nothing;
  let wanted = 0;
  return (chunk) => {
    const bytes = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    rest = nothing;
    let at = 0;
    while (at < bytes.length) {
      if (bytes.length - at < wanted) break;
      const headEnd = bytes.indexOf(blankLine, at);
      if (headEnd < 0) break;
      const head = bytes.toString('latin1', at, headEnd);
      const bodyStart = headEnd + blankLine.length;
      const bodyEnd = bodyStart + contentLength(head);
      wanted = bodyEnd > bytes.length ? bodyEnd - at : 0;
      if (wanted > 0) break;
      onRequest({ head, bytes, bodyStart, bodyEnd });
      at = bodyEnd;
    }
    if (at < bytes.length) rest = bytes.subarray(at);
  };
}

const lengthHeader = 'ontent-length: ';

/** The clients write `content-length` or `Content-Length`. */
export function contentLength(head: string): number {
  const at = head.lastIndexOf(lengthHeader);
  return at < 0 ? 0 : Number.parseInt(head.slice(at + lengthHeader.length, at + lengthHeader.length + 10), 10);
}
