/** Names of requests for logs: the caller's own (`X-Request-Id`) where it is plain, else one made here. */

/** `processId`: short and unlike other processes'; a counter does the rest, so that a name costs no randomness. */
export function createRequestIds(processId: string): (given: string | undefined) => string {
  let count = 0;
  return (given) => {
    if (given !== undefined && given.length <= 128 && /^[A-Za-z0-9._:-]+$/.test(given)) return given;
    count += 1;
    return `${processId}-${count.toString(36)}`;
  };
}
