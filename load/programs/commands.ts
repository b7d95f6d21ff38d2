/**
 * The child's side of the bench's programs: commands come over the IPC channel, one answer each. A program ends with whoever started
 * it. The parent's side is ../program.ts.
 */

/** One input, one answer; what it throws rejects in the parent. */
// biome-ignore lint/suspicious/noExplicitAny: each command names its own input; the parent's types check the calls.
export type Commands = Record<string, (input: any) => unknown>;

export interface Request {
  readonly id: number;
  readonly name: string;
  readonly input: unknown;
}

export type Reply = { readonly id: number; readonly result: unknown } | { readonly id: number; readonly error: string };

/** Answers until the parent goes away. */
export function serveCommands(commands: Commands): void {
  const answer = async ({ id, name, input }: Request): Promise<Reply> => {
    try {
      const command = commands[name];
      if (!command) throw new Error(`no command ${name}`);
      return { id, result: await command(input) };
    } catch (error) {
      return { id, error: error instanceof Error ? (error.stack ?? error.message) : String(error) };
    }
  };
  process.on('message', (request: Request) => void answer(request).then((reply) => process.send?.(reply)));
  process.on('disconnect', () => process.exit(0));
  // Ctrl-C reaches the whole group; the parent decides when its programs end.
  process.on('SIGINT', () => {});
}
