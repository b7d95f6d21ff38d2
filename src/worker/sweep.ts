/** Tidying up, now and then: nothing here is on the path of an operation. */
import type { QueueReader } from '../shared/queue/claim.ts';
import type { Engine } from './engine/engine.ts';

export interface Swept {
  readonly reader: Pick<QueueReader, 'queuesOf' | 'sweep'>;
  readonly engine: Pick<Engine, 'tidyUp' | 'forgetQueue'>;
  readonly fleet: { owns(shard: number): { readonly epoch: number } | undefined };
  onError(error: unknown): void;
}

/** Drops old history and queues that nobody uses any more. A shard whose node is away holds up no other. */
export async function sweep(
  { reader, engine, fleet, onError }: Swept,
  { shards, statusTtlMs }: { shards: number; statusTtlMs: number },
): Promise<void> {
  engine.tidyUp();
  const sweepShard = async (shard: number, epoch: number) => {
    for (const queue of await reader.queuesOf(shard)) {
      const isKept = await reader.sweep({ shard, epoch }, queue, statusTtlMs);
      if (!isKept) engine.forgetQueue(shard, queue);
    }
  };
  for (let shard = 0; shard < shards; shard++) {
    const held = fleet.owns(shard);
    if (held) await sweepShard(shard, held.epoch).catch(onError);
  }
}
