/** Keeps a loop's rounds going: waits between them, backs off when one fails, wakes early when told, stops when told. */
export interface Loop {
  /** The next round starts now, or right after the one that runs. */
  wake(): void;
  /** Resolves when no round runs any more. */
  stop(): Promise<void>;
}

export interface LoopOptions {
  /** One round; returns milliseconds until the next. */
  tick(): Promise<number>;
  onError(error: unknown): void;
  /** After a failed round, milliseconds. */
  readonly retryMs: number;
}

export function startLoop({ tick, onError, retryMs }: LoopOptions): Loop {
  let isStopped = false;
  let isWoken = false;
  let interrupt = () => {};

  const pause = (ms: number) =>
    new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, ms);
      interrupt = () => {
        clearTimeout(timer);
        resolve();
      };
    });

  const run = async () => {
    while (!isStopped) {
      isWoken = false;
      const waitMs = await tick().catch((error) => {
        onError(error);
        return retryMs;
      });
      if (!isWoken && !isStopped) await pause(waitMs);
    }
  };
  const running = run();

  return {
    wake() {
      isWoken = true;
      interrupt();
    },
    async stop() {
      isStopped = true;
      interrupt();
      await running;
    },
  };
}
