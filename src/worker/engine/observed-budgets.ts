/** What a provider's answers said of an account's windows, until the gate is told: of each window the word of the call sent last. */
import type { BudgetReport } from '../../shared/gate/budgets.ts';

interface Observed {
  readonly budget: BudgetReport;
  /** The worker's monotonic clock, milliseconds. */
  readonly sentAt: number;
  readonly answeredAt: number;
}

export class ObservedBudgets {
  /** By length of the window. */
  readonly #newest = new Map<number, Observed>();

  get size(): number {
    return this.#newest.size;
  }

  /** `sentAt`: when the request was sent whose answer says so. */
  observe(budgets: readonly BudgetReport[], sentAt: number, answeredAt: number): void {
    for (const budget of budgets) {
      const known = this.#newest.get(budget.perMs);
      if (!known || known.sentAt <= sentAt) this.#newest.set(budget.perMs, { budget, sentAt, answeredAt });
    }
  }

  /** Each with its ages; they are told once. */
  take(now: number): BudgetReport[] {
    const reports = [...this.#newest.values()].map(({ budget, sentAt, answeredAt }) => ({
      ...budget,
      sentMsAgo: now - sentAt,
      answeredMsAgo: now - answeredAt,
    }));
    this.#newest.clear();
    return reports;
  }
}
