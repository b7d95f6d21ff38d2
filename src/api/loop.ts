/** Repeats a background task; `tick` never throws. */
export interface Loop {
  /** No tick begins after this. */
  stop(): void;
}

/** The next tick begins `everyMs` after the end of the last. Does not keep the process alive. */
export function startLoop(tick: () => Promise<unknown>, everyMs: number): Loop {
  let isStopped = false;
  let timer: NodeJS.Timeout | undefined;
  const round = () => {
    void tick().finally(() => {
      if (!isStopped) timer = setTimeout(round, everyMs).unref();
    });
  };
  round();
  return {
    stop() {
      isStopped = true;
      clearTimeout(timer);
    },
  };
}
