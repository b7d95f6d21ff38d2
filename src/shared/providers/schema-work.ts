/**
 * References make of a small schema a large one: thirty definitions, of which each asks twice for the next, are tried a thousand million
 * times. So they are followed, and written out the schema may only be so large; one that comes back to itself would be endless. Rejected:
 * letting those pass that end where the payload does, as in a tree. Two of them at each level double the work with every level of the payload.
 */

export type SchemaPart = Readonly<Record<string, unknown>>;

/** More than a schema of 64 KiB has without references. */
const maxParts = 50_000;

/** What stands below these has names of its own, not keywords. */
const named: ReadonlySet<string> = new Set(['properties', 'patternProperties', 'definitions', '$defs', 'dependencies', 'dependentSchemas']);
const onlyReferred: ReadonlySet<string> = new Set(['definitions', '$defs']);
/** Values, not schemas. */
const values: ReadonlySet<string> = new Set(['enum', 'const', 'default', 'examples']);

interface Part {
  readonly keyword: string;
  readonly path: string;
  readonly part: SchemaPart;
}

/** The schemas that a schema is made of, one level down. */
export function partsOf(schema: SchemaPart): Part[] {
  return Object.entries(schema).flatMap(([keyword, value]): Part[] => {
    if (values.has(keyword) || !isPart(value)) return [];
    if (!named.has(keyword) && !Array.isArray(value)) return [{ keyword, path: keyword, part: value }];
    return Object.entries(value).flatMap(([name, part]) => (isPart(part) ? [{ keyword, path: `${keyword}.${name}`, part }] : []));
  });
}

/** What is wrong with the references, in words. */
export function checkReferences(root: SchemaPart): string | undefined {
  const counts = new Map<SchemaPart, number>();
  const count = (schema: SchemaPart): number => {
    const known = counts.get(schema);
    if (known !== undefined) return known;
    // Met again inside itself.
    counts.set(schema, Number.POSITIVE_INFINITY);
    const parts = partsOf(schema).filter(({ keyword }) => !onlyReferred.has(keyword));
    const tried = [...parts.map(({ part }) => part), ...referred(schema, root)];
    const total = tried.reduce((sum, part) => sum + count(part), 1);
    counts.set(schema, total);
    return total;
  };
  const total = count(root);
  if (total === Number.POSITIVE_INFINITY) return 'refers to itself';
  return total > maxParts ? `has more than ${maxParts} parts, each reference written out` : undefined;
}

function referred({ $ref: reference }: SchemaPart, root: SchemaPart): SchemaPart[] {
  if (typeof reference !== 'string') return [];
  let target: unknown = root;
  for (const name of decodeURIComponent(reference).split('/').slice(1))
    target = isPart(target) ? target[name.replaceAll('~1', '/').replaceAll('~0', '~')] : undefined;
  return isPart(target) ? [target] : [];
}

function isPart(value: unknown): value is SchemaPart {
  return typeof value === 'object' && value !== null;
}
