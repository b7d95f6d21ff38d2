/**
 * Lanes that could go now, fair among tenants: each takes its turn, whoever queues more. What was to be called and could not start
 * goes first.
 */
import type { Lane } from './lane.ts';

export class ReadyLanes {
  readonly #byTenant = new Map<string, Fifo>();
  #turns: Fifo[] = [];
  #turn = 0;
  size = 0;

  push(lane: Lane): void {
    this.#fifoOf(lane).push(lane);
    this.size++;
  }

  pushFirst(lane: Lane): void {
    const fifo = this.#fifoOf(lane);
    // Those behind it have waited for longer, and a batch waits for the oldest.
    lane.readyAt = Math.min(lane.readyAt, fifo.first?.readyAt ?? Number.POSITIVE_INFINITY);
    fifo.unshift(lane);
    this.size++;
  }

  /** Lets go of lanes: by default of those whose shard or provider is gone. */
  prune(isKept: (lane: Lane) => boolean = (lane) => !lane.queue.isGone): void {
    this.size = 0;
    for (const fifo of this.#turns) this.size += fifo.keep(isKept);
  }

  /** The next lane, of the tenant whose turn it is. */
  shift(): Lane | undefined {
    while (this.#turns.length > 0) {
      this.#turn %= this.#turns.length;
      const fifo = this.#turns[this.#turn] as Fifo;
      const lane = fifo.shift();
      if (lane) {
        this.#turn++;
        this.size--;
        return lane;
      }
      // Most accounts have one tenant, whose lane comes and goes.
      if (this.#turns.length === 1) return undefined;
      this.#turns.splice(this.#turn, 1);
      this.#byTenant.delete(fifo.tenant);
    }
    return undefined;
  }

  /** Since when the lane that has waited longest waits. */
  get oldestReadyAt(): number {
    let oldest = Number.POSITIVE_INFINITY;
    for (const fifo of this.#turns) oldest = Math.min(oldest, fifo.first?.readyAt ?? Number.POSITIVE_INFINITY);
    return oldest;
  }

  #fifoOf(lane: Lane): Fifo {
    const { tenant } = lane.queue;
    let fifo = this.#byTenant.get(tenant);
    if (!fifo) {
      fifo = new Fifo(tenant);
      this.#byTenant.set(tenant, fifo);
      this.#turns.push(fifo);
    }
    return fifo;
  }
}

/** First in, first out, without moving what waits at every step; as it runs empty it begins again in the same place. */
class Fifo {
  readonly tenant: string;
  #items: (Lane | undefined)[] = [];
  #head = 0;
  #end = 0;

  constructor(tenant: string) {
    this.tenant = tenant;
  }

  get first(): Lane | undefined {
    return this.#items[this.#head];
  }

  push(lane: Lane): void {
    this.#items[this.#end++] = lane;
  }

  unshift(lane: Lane): void {
    if (this.#head > 0) {
      this.#items[--this.#head] = lane;
      return;
    }
    this.#items.length = this.#end++;
    this.#items.unshift(lane);
  }

  /** Returns how many are left. */
  keep(isKept: (lane: Lane) => boolean): number {
    this.#items = this.#items.slice(this.#head, this.#end).filter((lane) => lane && isKept(lane));
    this.#head = 0;
    this.#end = this.#items.length;
    return this.#end;
  }

  shift(): Lane | undefined {
    const lane = this.#items[this.#head];
    if (!lane) return undefined;
    this.#items[this.#head++] = undefined;
    if (this.#head === this.#end) {
      this.#head = 0;
      this.#end = 0;
    } else if (this.#head > 1_024 && this.#head * 2 > this.#end) {
      this.#items = this.#items.slice(this.#head, this.#end);
      this.#end -= this.#head;
      this.#head = 0;
    }
    return lane;
  }
}
