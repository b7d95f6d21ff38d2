/**
 * Bodies: read once, bounded while they arrive, and parsed. Where arrays are taken, a body that begins with `[` may be larger than another; its
 * first byte decides.
 * What is over the bound is not kept, and the caller hears of it before it has sent the rest.
 */
import { isUtf8 } from 'node:buffer';
import { type Problem, problem } from '../shared/domain/problem.ts';
import { findJsonFault, type JsonFault } from './json-fault.ts';

export const maxBodyBytes = 1_048_576;
/** Of an array of operations. */
export const maxArrayBodyBytes = 8_388_608;

const openBracket = 0x5b;

/** Undefined where the header says JSON in UTF-8, not compressed. */
export function mediaTypeProblem(contentType: string | undefined, contentEncoding: string | undefined): Problem | undefined {
  if (contentEncoding !== undefined && contentEncoding.toLowerCase() !== 'identity') {
    return problem('unsupported_media_type', { detail: 'compressed bodies are not accepted' });
  }
  if (contentType === 'application/json') return undefined;
  if (contentType === undefined) return problem('unsupported_media_type', { detail: 'the Content-Type is missing' });
  const parts = /^\s*application\/(?:json|[a-z0-9!#$&^_.-]+\+json)\s*((?:;[^;]*)*)$/i.exec(contentType.slice(0, 300));
  const charset = /;\s*charset\s*=\s*"?([^";\s]+)"?/i.exec(parts?.[1] ?? '')?.[1]?.toLowerCase();
  const isReadable = parts !== null && (charset === undefined || charset === 'utf-8' || charset === 'utf8' || charset === 'us-ascii');
  return isReadable ? undefined : problem('unsupported_media_type');
}

/** Collects the chunks of one body. */
export interface BodyCollector {
  /** Undefined where the length that a header announces may be all right; the first byte then decides. */
  announce(contentLength: string | undefined): Problem | undefined;
  /** Why the body is refused, as soon as that is known. */
  add(chunk: Uint8Array): Problem | undefined;
  /** The whole body. */
  end(): Buffer;
  /** Must be called when the body is no longer needed; may be called twice. */
  release(): void;
}

/** Begins with a body. */
export type StartBody = () => BodyCollector;

export interface BodyBounds {
  /** Of a body that begins with `[`; others have `maxBodyBytes`. */
  readonly maxArrayBytes: number;
  /** Of all bodies begun with one `StartBody`: many large ones at once must not use up the memory. */
  readonly maxHeldBytes: number;
}

export function createStartBody({ maxArrayBytes, maxHeldBytes }: BodyBounds): StartBody {
  const forArrays = maxArrayBytes === maxBodyBytes ? '' : `, or ${maxArrayBytes} for an array`;
  const tooLarge = () => problem('too_large', { detail: `at most ${maxBodyBytes} bytes${forArrays}` });
  let held = 0;
  return () => {
    let chunks: Uint8Array[] = [];
    let size = 0;
    let limit: number | undefined;
    return {
      announce: (contentLength) => (contentLength !== undefined && Number(contentLength) > maxArrayBytes ? tooLarge() : undefined),
      add(chunk) {
        limit ??= limitOf(chunk, maxArrayBytes);
        if (size + chunk.length > (limit ?? maxBodyBytes)) return tooLarge();
        if (held + chunk.length > maxHeldBytes) return problem('unavailable', { detail: 'too many large bodies at once' });
        size += chunk.length;
        held += chunk.length;
        chunks.push(chunk);
        return undefined;
      },
      end: () => (chunks.length === 1 && Buffer.isBuffer(chunks[0]) ? chunks[0] : Buffer.concat(chunks)),
      release() {
        held -= size;
        size = 0;
        chunks = [];
      },
    };
  };
}

/** Undefined while there is nothing but white space. */
function limitOf(chunk: Uint8Array, maxArrayBytes: number): number | undefined {
  for (const byte of chunk) {
    if (byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09) continue;
    return byte === openBracket ? maxArrayBytes : maxBodyBytes;
  }
  return undefined;
}

export type ParsedBody = { readonly status: 'parsed'; readonly value: unknown } | { readonly status: 'refused'; readonly problem: Problem };

/** Never throws: what is not UTF-8 or not JSON is refused. */
export function parseBody(body: Buffer): ParsedBody {
  if (!isUtf8(body)) return { status: 'refused', problem: problem('malformed_json', { detail: 'the body is not UTF-8' }) };
  const text = body.toString('utf8');
  try {
    return { status: 'parsed', value: JSON.parse(text) };
  } catch {
    return { status: 'refused', problem: problem('malformed_json', describeFault(findJsonFault(text))) };
  }
}

/** Says where, and never what is there: it may be a secret. */
function describeFault(fault: JsonFault | undefined): { detail?: string } {
  if (!fault) return {};
  const { line, column, isCutOff } = fault;
  return { detail: isCutOff ? `it ends too early, in line ${line}, column ${column}` : `the fault is in line ${line}, column ${column}` };
}

export interface BodyRequest {
  readonly contentType: string | undefined;
  readonly contentEncoding: string | undefined;
  readonly contentLength: string | undefined;
  /** Called once, where the headers are all right. */
  readonly body: () => ReadableStream<Uint8Array> | null;
}

export type ReadBody = { readonly status: 'read'; readonly body: Buffer } | { readonly status: 'refused'; readonly problem: Problem };

/** Reads the body of a request within the bounds. Throws only where the connection breaks off. */
export async function readBytes(
  { contentType, contentEncoding, contentLength, body }: BodyRequest,
  collector: BodyCollector,
): Promise<ReadBody> {
  const early = mediaTypeProblem(contentType, contentEncoding) ?? collector.announce(contentLength);
  if (early) return { status: 'refused', problem: early };
  const reader = body()?.getReader();
  for (let next = await reader?.read(); next && !next.done; next = await reader?.read()) {
    const refusal = collector.add(next.value);
    if (!refusal) continue;
    if (reader) void discard(reader);
    return { status: 'refused', problem: refusal };
  }
  return { status: 'read', body: collector.end() };
}

/**
 * Reads on and throws away: leaving the stream, or cancelling it, resets the connection before the answer is read. The server ends it where the
 * sender goes on for too long.
 */
async function discard(reader: ReadableStreamDefaultReader<Uint8Array>): Promise<void> {
  try {
    for (let next = await reader.read(); !next.done; next = await reader.read());
  } catch {
    // The sender hung up.
  }
}
