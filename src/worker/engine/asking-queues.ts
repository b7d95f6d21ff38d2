/**
 * Queues that ask to be read, by account: those of one account are read together, so that its calls follow each other while what they need is in the
 * processor's caches, and batches are fuller. Accounts take turns, in the order in which they began to ask, so many queues at a turn.
 */
import { Fifo } from './fifo.ts';
import type { QueueState } from './shard-state.ts';

/** An account with one tenant has a queue in each shard. */
const queuesPerTurn = 16;

interface Turn {
  readonly queues: Fifo<QueueState>;
  queuesLeft: number;
}

export class AskingQueues {
  /** Of every account that ever asked: what comes and goes in a Map keeps garbage alive (decision 0014). */
  readonly #byAccount = new Map<string, Turn>();
  readonly #turns = new Fifo<Turn>();
  size = 0;

  push(queue: QueueState): void {
    let turn = this.#byAccount.get(queue.account);
    if (!turn) {
      turn = { queues: new Fifo(), queuesLeft: 0 };
      this.#byAccount.set(queue.account, turn);
    }
    if (!turn.queues.first) this.#enter(turn);
    turn.queues.push(queue);
    this.size++;
  }

  shift(): QueueState | undefined {
    const turn = this.#turns.first;
    const queue = turn?.queues.shift();
    if (!turn || !queue) return undefined;
    this.size--;
    turn.queuesLeft--;
    if (turn.queuesLeft === 0 || !turn.queues.first) {
      this.#turns.shift();
      if (turn.queues.first) this.#enter(turn);
    }
    return queue;
  }

  /** Whether any of the account's queues asks. */
  has(account: string): boolean {
    return this.#byAccount.get(account)?.queues.first !== undefined;
  }

  #enter(turn: Turn): void {
    turn.queuesLeft = queuesPerTurn;
    this.#turns.push(turn);
  }
}
