/** What an adapter is given besides its provider's configuration. */
import type { NetworkPolicy } from '../../shared/providers/address.ts';
import type { Sealer } from '../../shared/providers/seal.ts';
import type { RedisClient } from '../../shared/redis/connection.ts';
import type { Keys } from '../../shared/redis/keys.ts';
import type { Resolve } from './ssrf-guard.ts';

export interface AdapterDeps {
  readonly network: NetworkPolicy;
  readonly resolve: Resolve;
  readonly clock: {
    /** Epoch milliseconds. */
    nowMs(): number;
    /** Milliseconds that only ever grow, for durations. */
    monotonicMs(): number;
  };
  /** Unique each time: names tokens and the holders of locks. */
  readonly createId: () => string;
  // Where the fleet's access tokens are shared
  readonly redis: RedisClient;
  readonly keys: Keys;
  readonly sealer: Sealer;
}
