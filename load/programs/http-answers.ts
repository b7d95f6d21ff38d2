/**
 * HTTP/1.1 answers out of a connection's bytes, as cheaply as it goes: the status, and the body's end by its content-length. Bodies are
 * skipped, not kept: a load generator that shares the machine with what it measures must cost little.
 */
const blankLine = Buffer.from('\r\n\r\n');
const nothing: Buffer = Buffer.alloc(0);
/** `HTTP/1.1 ` comes before the status. */
const statusAt = 9;

/** Takes chunks as they come; calls `onAnswer` once an answer's last byte is there. Throws on an answer without a content-length. */
export function createAnswerReader(onAnswer: (status: number) => void): (chunk: Buffer) => void {
  let rest = nothing;
  let status = 0;
  let bodyLeft = 0;
  return (chunk) => {
    const bytes = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    rest = nothing;
    let at = 0;
    while (at < bytes.length) {
      if (bodyLeft === 0) {
        const headEnd = bytes.indexOf(blankLine, at);
        if (headEnd < 0) {
          rest = bytes.subarray(at);
          return;
        }
        const head = bytes.toString('latin1', at, headEnd);
        status = Number(head.slice(statusAt, statusAt + 3));
        bodyLeft = contentLengthOf(head);
        at = headEnd + blankLine.length;
      }
      const taken = Math.min(bodyLeft, bytes.length - at);
      bodyLeft -= taken;
      at += taken;
      if (bodyLeft === 0) onAnswer(status);
    }
  };
}

function contentLengthOf(head: string): number {
  const found = /\r\ncontent-length: (\d+)/i.exec(head);
  if (!found) throw new Error(`an answer without a content-length: ${head}`);
  return Number(found[1]);
}
