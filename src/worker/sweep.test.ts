import { expect, test } from 'vitest';
import { sweep } from './sweep.ts';

test('sweeps every queue of the shards that are owned; one whose node is away holds up no other', async () => {
  const swept: string[] = [];
  const errors: unknown[] = [];
  const forgotten: string[] = [];
  const away = new Error('Connection is closed.');
  await sweep(
    {
      reader: {
        queuesOf: async (shard) => {
          if (shard === 1) throw away;
          return ['used', 'unused'];
        },
        sweep: async ({ shard, epoch }, queue, historyMs) => {
          swept.push(`${shard} ${epoch} ${queue} ${historyMs}`);
          if (shard === 2) throw away;
          return queue === 'used';
        },
      },
      engine: { tidyUp: () => {}, forgetQueue: (shard, queue) => void forgotten.push(`${shard} ${queue}`) },
      fleet: { owns: (shard) => (shard === 3 ? undefined : { epoch: 7, isDraining: false }) },
      onError: (error) => void errors.push(error),
    },
    { shards: 5, statusTtlMs: 60 },
  );
  expect(swept).toEqual(['0 7 used 60', '0 7 unused 60', '2 7 used 60', '4 7 used 60', '4 7 unused 60']);
  expect(forgotten).toEqual(['0 unused', '4 unused']);
  expect(errors).toEqual([away, away]);
});
