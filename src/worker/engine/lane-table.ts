/**
 * The lanes of a queue by their records' digests. They come and go with every operation, and that is why this is no Map: as a Map fills and
 * empties, its table is made anew, each old table refers to the next, and once one of them has become old garbage it keeps all that
 * follow it alive, with the lanes in them, until the next full collection. Here what leaves is referred to by nothing.
 */
import type { Lane } from './lane.ts';

const firstSize = 8;

export class LaneTable {
  /** A power of two of them; lanes of one bucket are chained. */
  #buckets: (Lane | undefined)[] = emptyBuckets(firstSize);
  size = 0;

  get(digest: string): Lane | undefined {
    let lane = this.#buckets[this.#bucketOf(digest)];
    while (lane && lane.digest !== digest) lane = lane.nextInBucket;
    return lane;
  }

  /** The digest is not in the table. */
  add(lane: Lane): void {
    if (this.size === this.#buckets.length) this.#grow();
    this.#link(lane);
    this.size++;
  }

  /** Harmless for a lane that is not in the table. */
  delete(lane: Lane): void {
    const bucket = this.#bucketOf(lane.digest);
    let before: Lane | undefined;
    let at = this.#buckets[bucket];
    while (at && at !== lane) {
      before = at;
      at = at.nextInBucket;
    }
    if (!at) return;
    if (before) before.nextInBucket = lane.nextInBucket;
    else this.#buckets[bucket] = lane.nextInBucket;
    lane.nextInBucket = undefined;
    this.size--;
  }

  /** In no order. */
  values(): Lane[] {
    const lanes: Lane[] = [];
    for (const first of this.#buckets) for (let lane = first; lane; lane = lane.nextInBucket) lanes.push(lane);
    return lanes;
  }

  clear(): void {
    for (const lane of this.values()) lane.nextInBucket = undefined;
    this.#buckets = emptyBuckets(firstSize);
    this.size = 0;
  }

  #link(lane: Lane): void {
    const bucket = this.#bucketOf(lane.digest);
    lane.nextInBucket = this.#buckets[bucket];
    this.#buckets[bucket] = lane;
  }

  #grow(): void {
    const lanes = this.values();
    this.#buckets = emptyBuckets(2 * this.#buckets.length);
    for (const lane of lanes) this.#link(lane);
  }

  /** A digest is a hash already: a few of its characters spread well. */
  #bucketOf(digest: string): number {
    const bits = digest.charCodeAt(0) ^ (digest.charCodeAt(1) << 5) ^ (digest.charCodeAt(2) << 10);
    return bits & (this.#buckets.length - 1);
  }
}

const emptyBuckets = (size: number): (Lane | undefined)[] => new Array<Lane | undefined>(size).fill(undefined);
