/** What the simulated providers read from a request in the same way. */
import type { SimulatedRequest } from './simulated-provider.ts';

type Json = Readonly<Record<string, unknown>>;

/** Undefined for a body that is not JSON. */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** An object as it is, and an empty one for whatever else. */
export function objectOf(value: unknown): Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Json) : {};
}

/** '' when the header is absent or repeated. */
export function headerOf(request: SimulatedRequest, name: string): string {
  const value = request.headers[name];
  return typeof value === 'string' ? value : '';
}

/** The token of `Authorization: Bearer`, or undefined. */
export function bearerOf(request: SimulatedRequest): string | undefined {
  return /^Bearer +(\S+)$/i.exec(headerOf(request, 'authorization'))?.[1];
}

/** The path's segments, decoded; undefined when one is not properly encoded or empty. */
export function segmentsOf(path: string): readonly string[] | undefined {
  try {
    const segments = path.slice(1).split('/').map(decodeURIComponent);
    return segments.includes('') ? undefined : segments;
  } catch {
    return undefined;
  }
}
