/**
 * Whether an account's calls fail at present in a way that is repeated. Told at the first failure, while it lasts once a minute, and when it
 * is over: so the cause of a backlog that stands is known long before anything is given up, and an account whose calls fail now and then
 * has two lines a minute at most. What throttles or refuses credentials is told as a pause.
 */
import type { ProviderError } from '../../shared/domain/provider-error.ts';

const tellEveryMs = 60_000;

export interface TroubleDeps {
  /** Monotonic, milliseconds. */
  now(): number;
  /** `failures`: since it was last told, this one included. */
  onFailing(error: ProviderError, failures: number): void;
  onOver(): void;
}

export class Trouble {
  readonly #deps: TroubleDeps;
  #toldAt = Number.NEGATIVE_INFINITY;
  #failures = 0;
  /** It was told, and not yet that it is over. */
  #isKnown = false;

  constructor(deps: TroubleDeps) {
    this.#deps = deps;
  }

  failed(error: ProviderError): void {
    this.#failures++;
    const now = this.#deps.now();
    if (now - this.#toldAt < tellEveryMs) return;
    this.#deps.onFailing(error, this.#failures);
    this.#toldAt = now;
    this.#failures = 0;
    this.#isKnown = true;
  }

  /** The provider answers: it took a call, or refused a record. */
  answered(): void {
    if (!this.#isKnown) return;
    this.#isKnown = false;
    this.#deps.onOver();
  }
}
