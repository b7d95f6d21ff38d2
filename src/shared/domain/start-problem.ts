/** What keeps a process from starting and its operator can mend: said in one line, without a stack. */

export class StartProblem extends Error {}

/** A port that is taken, a name that nobody knows, an address of another machine. */
export class CannotListen extends StartProblem {
  constructor({ host, port }: { readonly host: string; readonly port: number }, cause: Error) {
    super(`cannot listen on HOST ${host}, port ${port}: ${cause.message}`, { cause });
    this.name = 'CannotListen';
  }
}
