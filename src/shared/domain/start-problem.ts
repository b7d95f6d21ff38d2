/** What keeps a process from starting and its operator can mend: said in one line, without a stack. */

export class StartProblem extends Error {}

/** A port or an address that cannot be listened on. */
const listenCodes: ReadonlySet<unknown> = new Set(['EADDRINUSE', 'EACCES', 'EADDRNOTAVAIL']);

export function isStartProblem(error: unknown): error is Error {
  if (error instanceof StartProblem) return true;
  return error instanceof Error && listenCodes.has((error as NodeJS.ErrnoException).code);
}
