// @ts-check
/**
 * What Node is told for each process; the Dockerfiles and package.json say the same (decision 0015).
 *
 * @type {Readonly<Record<'api' | 'worker' | 'simulator', readonly string[]>>}
 */
export const nodeFlags = {
  api: ['--enable-source-maps'],
  worker: ['--enable-source-maps', '--max-semi-space-size=16', '--single-threaded-gc'],
  simulator: ['--enable-source-maps'],
};
