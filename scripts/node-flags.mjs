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

/**
 * And in its environment, which libuv has read before a line of ours runs (Node 20): an operator's own value wins. Lookups of names take at most
 * half of the threads, each for ten seconds and more where name servers keep silent, so 64 are enough for 31 such names; they cost a megabyte.
 *
 * @type {Readonly<Record<'api' | 'worker' | 'simulator', Readonly<Record<string, string>>>>}
 */
export const nodeEnvironment = {
  api: {},
  worker: { UV_THREADPOOL_SIZE: '64' },
  simulator: {},
};
