/** When a provider wants to be asked again. */

/** A day: longer pauses are a mistake, or no different from it; the next answer renews them. */
const maxRetryAfterMs = 86_400_000;
/** An ISO date and time that names no zone means UTC here; JavaScript would take the machine's. */
const zonelessDate = /^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]+$/;

/** Milliseconds to wait by `Retry-After`: seconds, an HTTP date or an ISO date. Undefined without one, or where it names no time to come. */
export function readRetryAfterMs(headers: readonly Buffer[], nowMs: number): number | undefined {
  const text = readHeader(headers, 'retry-after')?.trim();
  if (text === undefined || text === '') return undefined;
  if (/^[0-9]+(?:\.[0-9]+)?$/.test(text)) return bounded(Number(text) * 1_000);
  const atMs = Date.parse(zonelessDate.test(text) ? `${text}Z` : text);
  if (Number.isNaN(atMs)) return undefined;
  // By the provider's own clock, where it tells it: ours may differ.
  const theirNowMs = Date.parse(readHeader(headers, 'date') ?? '');
  return bounded(atMs - (Number.isNaN(theirNowMs) ? nowMs : theirNowMs));
}

/** A time that is over, like none at all, says nothing of how long to wait: whoever throttles nonetheless gets the usual pause. */
function bounded(ms: number): number | undefined {
  return ms > 0 ? Math.min(Math.ceil(ms), maxRetryAfterMs) : undefined;
}

/** The first header of that name (in lower case); `headers` holds names and values in turn. */
export function readHeader(headers: readonly Buffer[], name: string): string | undefined {
  for (let index = 0; index + 1 < headers.length; index += 2) {
    const candidate = headers[index] as Buffer;
    if (candidate.length === name.length && candidate.toString('latin1').toLowerCase() === name)
      return (headers[index + 1] as Buffer).toString('latin1');
  }
  return undefined;
}
