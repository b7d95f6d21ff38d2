/** The adapter that a dispatcher uses, and its former ones: each is closed when its last call has ended. */
import type { ProviderConfig } from '../../shared/providers/config.ts';
import type { ProviderAdapter } from '../providers/provider.ts';

export interface AdapterInUse {
  readonly adapter: ProviderAdapter;
  /** In flight. */
  calls: number;
}

export interface AdaptersDeps {
  /** Undefined for a kind that this worker does not know: its lanes wait for one that does. */
  createAdapter(config: ProviderConfig): ProviderAdapter | undefined;
  onAdapterFault(error: unknown): void;
}

export class Adapters {
  readonly #deps: AdaptersDeps;
  readonly #retired = new Set<AdapterInUse>();
  present: AdapterInUse | undefined;

  constructor(deps: AdaptersDeps) {
    this.#deps = deps;
  }

  /** Where the new one cannot be made there is none: the provider's lanes wait for another configuration. */
  replace(config: ProviderConfig | undefined): void {
    const old = this.present;
    this.present = config && this.#make(config);
    if (old) this.#retire(old);
  }

  callEnded(used: AdapterInUse): void {
    used.calls--;
    if (used.calls === 0 && used !== this.present) this.#retire(used);
  }

  async close(): Promise<void> {
    const all = [...this.#retired, ...(this.present ? [this.present] : [])];
    await Promise.all(all.map((used) => this.#close(used)));
  }

  #make(config: ProviderConfig): AdapterInUse | undefined {
    try {
      const adapter = this.#deps.createAdapter(config);
      return adapter && { adapter, calls: 0 };
    } catch (error) {
      this.#deps.onAdapterFault(error);
      return undefined;
    }
  }

  #retire(old: AdapterInUse): void {
    if (old.calls > 0) {
      this.#retired.add(old);
      return;
    }
    this.#retired.delete(old);
    void this.#close(old);
  }

  #close({ adapter }: AdapterInUse): Promise<void> {
    return adapter.close().catch((error) => this.#deps.onAdapterFault(error));
  }
}
