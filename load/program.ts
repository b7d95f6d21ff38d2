/** The parent's side of the bench's programs: each in a process of its own, asked over an IPC channel. */
import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { Commands, Reply } from './programs/commands.ts';

export interface Program<C extends Commands> {
  readonly pid: number;
  /** Rejects with what the command threw, or when the program ends before it answers. */
  ask<K extends keyof C & string>(name: K, ...input: Parameters<C[K]>): Promise<Awaited<ReturnType<C[K]>>>;
  stop(): Promise<void>;
}

interface Pending {
  resolve(result: unknown): void;
  reject(error: Error): void;
}

/** Programs lie beside the bundled bench. */
export function startProgram<C extends Commands>(name: string): Program<C> {
  const file = fileURLToPath(new URL(`./programs/${name}.js`, import.meta.url));
  const child = fork(file, {
    serialization: 'advanced',
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    execArgv: ['--enable-source-maps'],
  });
  const pending = new Map<number, Pending>();
  let lastId = 0;
  const ended = new Promise<void>((resolve) => {
    child.once('close', () => {
      for (const { reject } of pending.values()) reject(new Error(`${name} ended before it answered`));
      pending.clear();
      resolve();
    });
  });
  child.on('message', (reply: Reply) => {
    const waiting = pending.get(reply.id);
    pending.delete(reply.id);
    if ('error' in reply) waiting?.reject(new Error(`${name}: ${reply.error}`));
    else waiting?.resolve(reply.result);
  });
  return {
    pid: child.pid ?? 0,
    ask: (command, ...[input]) =>
      new Promise((resolve, reject) => {
        const id = ++lastId;
        pending.set(id, { resolve: resolve as Pending['resolve'], reject });
        child.send({ id, name: command, input });
      }),
    async stop() {
      child.kill('SIGKILL');
      await ended;
    },
  };
}
