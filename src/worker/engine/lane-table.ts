/**
 * The lanes of a queue by their records' digests. They come and go with every operation, and that is why this is no Map: as a Map fills and
 * empties, its table is made anew, each old table refers to the next, and once one of them has become old garbage it keeps all that
 * follow it alive, with the lanes in them, until the next full collection. Here what leaves is referred to by nothing.
 */
import type { Lane } from './lane.ts';

/** So many hang in one chain: most queues have one lane or none, and are many. */
const fewLanes = 8;

export class LaneTable {
  #chain: Lane | undefined;
  /** Of more lanes: a power of two of buckets, each with a chain of its own. */
  #buckets: (Lane | undefined)[] | undefined;
  size = 0;

  get(digest: string): Lane | undefined {
    let lane = this.#firstOf(digest);
    while (lane && lane.digest !== digest) lane = lane.nextInBucket;
    return lane;
  }

  /** The digest is not in the table. */
  add(lane: Lane): void {
    if (this.size === (this.#buckets?.length ?? fewLanes)) this.#grow();
    this.#link(lane);
    this.size++;
  }

  /** Harmless for a lane that is not in the table. */
  delete(lane: Lane): void {
    let before: Lane | undefined;
    let at = this.#firstOf(lane.digest);
    while (at && at !== lane) {
      before = at;
      at = at.nextInBucket;
    }
    if (!at) return;
    if (before) before.nextInBucket = lane.nextInBucket;
    else this.#setFirst(lane.digest, lane.nextInBucket);
    lane.nextInBucket = undefined;
    this.size--;
  }

  /** In no order. */
  values(): Lane[] {
    const lanes: Lane[] = [];
    for (const first of this.#buckets ?? [this.#chain]) for (let lane = first; lane; lane = lane.nextInBucket) lanes.push(lane);
    return lanes;
  }

  clear(): void {
    for (const lane of this.values()) lane.nextInBucket = undefined;
    this.#chain = undefined;
    this.#buckets = undefined;
    this.size = 0;
  }

  #link(lane: Lane): void {
    lane.nextInBucket = this.#firstOf(lane.digest);
    this.#setFirst(lane.digest, lane);
  }

  #grow(): void {
    const lanes = this.values();
    this.#chain = undefined;
    this.#buckets = new Array<Lane | undefined>(2 * (this.#buckets?.length ?? fewLanes)).fill(undefined);
    for (const lane of lanes) this.#link(lane);
  }

  #firstOf(digest: string): Lane | undefined {
    return this.#buckets ? this.#buckets[bucketOf(digest, this.#buckets)] : this.#chain;
  }

  #setFirst(digest: string, lane: Lane | undefined): void {
    if (this.#buckets) this.#buckets[bucketOf(digest, this.#buckets)] = lane;
    else this.#chain = lane;
  }
}

/** A digest is a hash already: a few of its characters spread well. */
function bucketOf(digest: string, buckets: { readonly length: number }): number {
  const bits = digest.charCodeAt(0) ^ (digest.charCodeAt(1) << 5) ^ (digest.charCodeAt(2) << 10);
  return bits & (buckets.length - 1);
}
