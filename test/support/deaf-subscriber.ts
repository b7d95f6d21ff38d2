import type { Subscriber } from '../../src/shared/redis/change-watch.ts';

/** Hears nothing: every announcement is lost. */
export const deaf: Subscriber = { subscribe: async () => 1, unsubscribe: async () => 1, on() {}, off() {} };
