/**
 * Which worker should own which shard: rendezvous hashing with full places. Every worker comes to the same answer from the same list of
 * workers, nobody holds more than one shard more than anybody else, and little moves when the fleet changes. Rejected: a ceiling alone,
 * `ceil(shards / workers)`: of five workers with 16 shards one may then get none, and more moves.
 */
export type Hash = (text: string) => number;

/** Shard to worker, for every shard; empty without workers. */
export function assignShards(shards: number, workers: readonly string[], hash: Hash): ReadonlyMap<number, string> {
  const assignment = new Map<number, string>();
  if (workers.length === 0) return assignment;
  const floor = Math.floor(shards / workers.length);
  const counts = new Map(workers.map((worker) => [worker, 0]));
  /** So many workers hold one more than the others. */
  let extra = shards - floor * workers.length;
  const hasRoom = (worker: string) => (counts.get(worker) as number) < floor || (counts.get(worker) === floor && extra > 0);
  for (let shard = 0; shard < shards; shard++) {
    const owner = rank(shard, workers, hash).find(hasRoom) as string;
    const count = counts.get(owner) as number;
    if (count === floor) extra--;
    counts.set(owner, count + 1);
    assignment.set(shard, owner);
  }
  return assignment;
}

/** Workers by how well they suit the shard. */
function rank(shard: number, workers: readonly string[], hash: Hash): string[] {
  const weights = new Map(workers.map((worker) => [worker, hash(`${worker}/${shard}`)]));
  return [...workers].sort((a, b) => (weights.get(b) as number) - (weights.get(a) as number) || (a < b ? -1 : 1));
}
