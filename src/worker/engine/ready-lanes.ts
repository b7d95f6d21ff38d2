/**
 * Lanes that could go now, fair among tenants: each takes its turn, whoever queues more. What was to be called and could not start
 * goes first.
 */
import { Fifo } from './fifo.ts';
import type { Lane } from './lane.ts';

export class ReadyLanes {
  readonly #byTenant = new Map<string, TenantLanes>();
  #turns: TenantLanes[] = [];
  #turn = 0;
  size = 0;

  push(lane: Lane): void {
    this.#lanesOf(lane).push(lane);
    this.size++;
  }

  pushFirst(lane: Lane): void {
    const lanes = this.#lanesOf(lane);
    // Those behind it have waited for longer, and a batch waits for the oldest.
    lane.readyAt = Math.min(lane.readyAt, lanes.first?.readyAt ?? Number.POSITIVE_INFINITY);
    lanes.unshift(lane);
    this.size++;
  }

  /** Lets go of lanes: by default of those whose shard or provider is gone. */
  prune(isKept: (lane: Lane) => boolean = (lane) => !lane.queue.isGone): void {
    this.size = 0;
    for (const lanes of this.#turns) this.size += lanes.keep(isKept);
  }

  /** The next lane, of the tenant whose turn it is. */
  shift(): Lane | undefined {
    while (this.#turns.length > 0) {
      this.#turn %= this.#turns.length;
      const lanes = this.#turns[this.#turn] as TenantLanes;
      const lane = lanes.shift();
      if (lane) {
        this.#turn++;
        this.size--;
        return lane;
      }
      // Most accounts have one tenant, whose lane comes and goes.
      if (this.#turns.length === 1) return undefined;
      this.#turns.splice(this.#turn, 1);
      this.#byTenant.delete(lanes.tenant);
    }
    return undefined;
  }

  /** Since when the lane that has waited longest waits. */
  get oldestReadyAt(): number {
    let oldest = Number.POSITIVE_INFINITY;
    for (const lanes of this.#turns) oldest = Math.min(oldest, lanes.first?.readyAt ?? Number.POSITIVE_INFINITY);
    return oldest;
  }

  #lanesOf(lane: Lane): TenantLanes {
    const { tenant } = lane.queue;
    let lanes = this.#byTenant.get(tenant);
    if (!lanes) {
      lanes = new TenantLanes(tenant);
      this.#byTenant.set(tenant, lanes);
      this.#turns.push(lanes);
    }
    return lanes;
  }
}

class TenantLanes extends Fifo<Lane> {
  readonly tenant: string;

  constructor(tenant: string) {
    super();
    this.tenant = tenant;
  }
}
