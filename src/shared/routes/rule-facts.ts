/**
 * What a filter sees of an operation. Data comes from anybody, so what a filter may look at is bounded: a longer text, a larger list or
 * object, and what is nested deeper stands there as `Unseen`: `has()` finds it, it equals nothing, and everything else fails on it, so that
 * nothing is decided by half a value. Data with too many values is unseen as a whole. rule-cost.ts counts with these bounds.
 *
 * Objects become maps: a field named `constructor` or `__proto__` is then a field like any other.
 */
import type { OperationKind } from '../domain/operation.ts';

export const maxChars = 500;
/** Of a list, and of an object within the data. */
export const maxItems = 100;
/** All fields and items of the data together. */
export const maxValues = 1_000;
const maxDepth = 10;

/** Stands for a value past the bounds. */
export class Unseen {}

const refuse = (): never => {
  throw new Error('the value is larger than what filters look at');
};

/**
 * Nobody can look into it: else a loop over it would find an empty list, and `all` would be true. Each is another one: two are never equal.
 */
const createUnseen = () =>
  new Proxy(new Unseen(), {
    ownKeys: refuse,
    getOwnPropertyDescriptor: refuse,
    get: (_, name) => (name === 'constructor' ? Unseen : typeof name === 'symbol' ? undefined : refuse()),
  });

export interface RuleSubject {
  readonly kind: OperationKind;
  readonly entity: string;
  readonly tenant: string;
  readonly source: string;
}

/** Made once for an operation, whatever the number of filters. */
export interface RuleFacts {
  /** The variables of filters. */
  readonly variables: {
    readonly data: unknown;
    readonly entity: string;
    readonly operation: OperationKind;
    readonly tenant: string;
    readonly source: string;
  };
  /** Names, from `data` on, of what is unseen; at most ten. */
  readonly unseen: readonly string[];
}

const maxNamed = 10;

/** `data` is a JSON object; undefined where the operation has none. */
export function createFacts(subject: RuleSubject, data: Readonly<Record<string, unknown>> | undefined): RuleFacts {
  const { kind, entity, tenant, source } = subject;
  const view = new DataReader();
  const seen = data === undefined ? new Map() : view.readObject(data, 'data', maxDepth);
  const isTooMuch = view.values > maxValues;
  return {
    variables: { data: isTooMuch ? createUnseen() : seen, entity, operation: kind, tenant, source },
    unseen: isTooMuch ? ['data'] : view.unseen,
  };
}

class DataReader {
  values = 0;
  readonly unseen: string[] = [];

  readObject(value: object, path: string, depth: number): Map<string, unknown> {
    const seen = new Map<string, unknown>();
    for (const [name, member] of Object.entries(value)) {
      this.values += 1;
      // Past the bound nothing of it will be used.
      if (this.values > maxValues) break;
      seen.set(name, this.read(member, path, name, depth));
    }
    return seen;
  }

  private read(value: unknown, path: string, name: string, depth: number): unknown {
    if (typeof value === 'string') return value.length > maxChars ? this.skip(path, name) : value;
    if (typeof value !== 'object' || value === null) return value;
    const size = Array.isArray(value) ? value.length : Object.keys(value).length;
    if (depth === 0 || size > maxItems) return this.skip(path, name);
    const inner = `${path}.${name}`;
    if (!Array.isArray(value)) return this.readObject(value, inner, depth - 1);
    this.values += size;
    return value.map((item, index) => this.read(item, inner, String(index), depth - 1));
  }

  private skip(path: string, name: string): unknown {
    if (this.unseen.length < maxNamed) this.unseen.push(`${path}.${name}`.slice(0, 200));
    return createUnseen();
  }
}
