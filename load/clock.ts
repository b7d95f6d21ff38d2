/** Milliseconds of the machine's monotonic clock: the same in every process, unlike `performance.now()`. */
export function machineMs(): number {
  const [seconds, nanoseconds] = process.hrtime();
  return seconds * 1_000 + nanoseconds / 1e6;
}
