/**
 * Which worker should own which shard: rendezvous hashing with a ceiling. Every worker comes to the same answer from the same list of
 * workers, nobody holds more than `ceil(shards / workers)`, and little moves when the fleet changes.
 */
export type Hash = (text: string) => number;

/** Shard to worker, for every shard; empty without workers. */
export function assignShards(shards: number, workers: readonly string[], hash: Hash): ReadonlyMap<number, string> {
  const assignment = new Map<number, string>();
  if (workers.length === 0) return assignment;
  const ceiling = Math.ceil(shards / workers.length);
  const counts = new Map<string, number>();
  for (let shard = 0; shard < shards; shard++) {
    const owner = rank(shard, workers, hash).find((worker) => (counts.get(worker) ?? 0) < ceiling) as string;
    counts.set(owner, (counts.get(owner) ?? 0) + 1);
    assignment.set(shard, owner);
  }
  return assignment;
}

/** Workers by how well they suit the shard. */
function rank(shard: number, workers: readonly string[], hash: Hash): string[] {
  const weights = new Map(workers.map((worker) => [worker, hash(`${worker}/${shard}`)]));
  return [...workers].sort((a, b) => (weights.get(b) as number) - (weights.get(a) as number) || (a < b ? -1 : 1));
}
