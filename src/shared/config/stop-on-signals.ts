/**
 * How both processes end when they are told to: once, whatever the signal. To be called before anything is started: the first process of a
 * container does not get a signal that it has no listener for. SIGHUP is no reload: settings are read at the start alone.
 */
const stopSignals = ['SIGTERM', 'SIGINT', 'SIGHUP'] as const;

export interface StopOptions {
  readonly name: 'api' | 'worker';
  readonly log: { info(fields: object, text: string): void; error(fields: object, text: string): void };
  /** Ends what has been started so far. */
  stop(): Promise<void>;
  /** The process ends after so long all the same, milliseconds. */
  readonly withinMs?: number;
}

export function stopOnSignals({ name, log, stop, withinMs }: StopOptions): void {
  let isStopping = false;
  const onSignal = (signal: string) => {
    if (isStopping) return;
    isStopping = true;
    log.info({ signal }, `${name} stops`);
    if (withinMs !== undefined) setTimeout(() => process.exit(1), withinMs).unref();
    stop().then(
      () => {
        log.info({}, `${name} stopped`);
        process.exit(0);
      },
      (error) => {
        log.error({ err: error }, `${name} did not stop cleanly`);
        process.exit(1);
      },
    );
  };
  for (const signal of stopSignals) process.on(signal, onSignal);
}
