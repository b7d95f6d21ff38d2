/** One call of the REST API, taken apart: its version, what stands below it, its body and its headers. */
import { headerOf, parseJson } from '../request-reading.ts';
import type { Reply, SimulatedItem, SimulatedRequest, ToldFailure } from '../simulated-provider.ts';
import type { Org } from './org.ts';
import type { Row } from './record-table.ts';
import type { Writer } from './row-writer.ts';
import { errorOf, errorReply, errors, type SalesforceError, toldError } from './salesforce-errors.ts';

export interface ApiCall {
  readonly org: Org;
  readonly request: SimulatedRequest;
  readonly version: number;
  /** The path below the version, decoded. */
  readonly segments: readonly string[];
  readonly writer: Writer;
  /** Why the nth of the call's records has to fail, or undefined. */
  readonly failRecord: (index: number) => SalesforceError | undefined;
}

export type Target =
  | { readonly is: 'resource'; readonly version: number; readonly segments: readonly string[] }
  | { readonly is: 'versions' | 'other' };

/** What a path below the mount means. */
export function readTarget(path: string): Target {
  const segments = decode(path);
  if (segments === undefined || segments[0] !== 'services' || segments[1] !== 'data') return { is: 'other' };
  if (segments.length === 2) return { is: 'versions' };
  const version = /^v(\d{2,3})\.0$/.exec(segments[2] as string)?.[1];
  return version === undefined ? { is: 'other' } : { is: 'resource', version: Number(version), segments: segments.slice(3) };
}

/** The segments without the empty one that a slash at the end leaves; undefined when one is not properly encoded. */
function decode(path: string): string[] | undefined {
  try {
    const segments = path.replace(/\/$/, '').slice(1).split('/');
    return segments.map(decodeURIComponent);
  } catch {
    return undefined;
  }
}

export function createApiCall(
  org: Org,
  request: SimulatedRequest,
  { version, segments }: { version: number; segments: readonly string[] },
  told: { items: readonly SimulatedItem[]; failItem: (item: SimulatedItem) => ToldFailure | undefined },
): ApiCall {
  const failRecord = (index: number) => {
    const item = told.items[index];
    const failure = item && told.failItem(item);
    return failure && toldError(failure);
  };
  return { org, request, version, segments, writer: readWriter(request, version), failRecord };
}

function readWriter(request: SimulatedRequest, version: number): Writer {
  const client = /(?:^|[;,\s])client=([^;,]*)/.exec(headerOf(request, 'sforce-call-options'))?.[1] ?? '';
  const saves = /allowSave\s*=\s*true/i.test(headerOf(request, 'sforce-duplicate-rule-header'));
  return { client: client.trim(), version, allowsDuplicates: saves && version >= 52 };
}

export type Body = { readonly is: 'object'; readonly data: Record<string, unknown> } | { readonly is: 'refused'; readonly reply: Reply };

/** The call's JSON object. */
export function readBody(request: SimulatedRequest): Body {
  if (request.text === '') return refused(errors.notJson);
  const contentType = headerOf(request, 'content-type');
  if (!/\bjson\b/.test(contentType)) {
    const message = `Content-Type not supported: ${contentType}`;
    return refused({ httpStatus: 415, code: 'UNSUPPORTED_MEDIA_TYPE', message });
  }
  const value = parseJson(request.text);
  const isObject = typeof value === 'object' && value !== null && !Array.isArray(value);
  return isObject
    ? { is: 'object', data: value as Record<string, unknown> }
    : refused(errorOf.badJson('Unexpected character at [line:1, column:2]'));
}

function refused(error: SalesforceError): Body {
  return { is: 'refused', reply: errorReply(error) };
}

/** Answers that several rows match where one was meant. */
export function multipleChoices(rows: readonly Row[], version: number): Reply {
  return { status: 300, body: rows.map(({ type, id }) => `/services/data/v${version}.0/sobjects/${type}/${id}`) };
}
