/**
 * The org's rows, found by id, by type and by keys of the caller's making, such as an external id's value. Rows are never changed, only
 * replaced, so that taking a change back is putting the row before it back; deleted rows stay, as in the recycle bin, without keys.
 */
export interface Row {
  readonly id: string;
  readonly type: string;
  /** Without those that are null. */
  readonly fields: Readonly<Record<string, unknown>>;
  readonly createdMs: number;
  readonly modifiedMs: number;
  readonly isDeleted: boolean;
  /** The name that the last writer gave itself with `Sforce-Call-Options: client=`. */
  readonly client: string;
}

export interface RecordTable {
  get(id: string): Row | undefined;
  /** Deleted rows too, oldest first. */
  all(type: string): Iterable<Row>;
  withKey(key: string): readonly Row[];
  put(row: Row): void;
  /** Takes all changes of `run` back when it returns false. Transactions may be nested. */
  transaction(run: () => boolean): void;
  /** Ids of the rows put since the last time this was asked. */
  takeChanged(): readonly string[];
  /** The keys of every row anew. */
  reindex(): void;
  clear(): void;
}

interface Change {
  readonly id: string;
  readonly type: string;
  readonly before: Row | undefined;
}

export function createRecordTable(keysOf: (row: Row) => readonly string[]): RecordTable {
  const types = new Map<string, Map<string, Row>>();
  const typeOf = new Map<string, string>();
  const ids = new Map<string, Set<string>>();
  let journal: Change[] | undefined;
  let changed: string[] = [];

  const get = (id: string) => types.get(typeOf.get(id) ?? '')?.get(id);

  function index(row: Row): void {
    for (const key of row.isDeleted ? [] : keysOf(row)) {
      const known = ids.get(key);
      if (known) known.add(row.id);
      else ids.set(key, new Set([row.id]));
    }
  }

  function unindex(row: Row): void {
    for (const key of row.isDeleted ? [] : keysOf(row)) {
      const known = ids.get(key);
      known?.delete(row.id);
      if (known?.size === 0) ids.delete(key);
    }
  }

  function replace({ id, type }: { id: string; type: string }, row: Row | undefined): void {
    const before = get(id);
    if (before) unindex(before);
    const rows = types.get(type) ?? new Map<string, Row>();
    types.set(type, rows);
    if (row) {
      rows.set(id, row);
      typeOf.set(id, type);
      index(row);
    } else {
      rows.delete(id);
      typeOf.delete(id);
    }
  }

  return {
    get,
    all: (type) => types.get(type)?.values() ?? [],
    withKey: (key) => [...(ids.get(key) ?? [])].map((id) => get(id) as Row),
    put(row) {
      journal?.push({ id: row.id, type: row.type, before: get(row.id) });
      changed.push(row.id);
      replace(row, row);
    },
    transaction(run) {
      const outer = journal;
      const own: Change[] = [];
      journal = own;
      const changedBefore = changed.length;
      const isKept = run();
      journal = outer;
      if (isKept) outer?.push(...own);
      else {
        for (const change of own.reverse()) replace(change, change.before);
        changed.length = changedBefore;
      }
    },
    takeChanged() {
      const taken = [...new Set(changed)];
      changed = [];
      return taken;
    },
    reindex() {
      ids.clear();
      for (const rows of types.values()) for (const row of rows.values()) index(row);
    },
    clear() {
      types.clear();
      typeOf.clear();
      ids.clear();
      changed = [];
    },
  };
}
