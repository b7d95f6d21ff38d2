/**
 * References make of a small schema a large one: thirty definitions, of which each asks twice for the next, are tried a thousand million
 * times. So they are followed: what comes back to itself on the same value never ends, and what is written out may only be so large. What
 * comes back to itself on a member's value, as in a tree, ends where the payload does, and counts once.
 */

type Node = Readonly<Record<string, unknown>>;

/** More than a schema of 64 KiB has without references. */
const maxParts = 50_000;

/** What is wrong with the references, in words. */
export function checkReferences(root: Node): string | undefined {
  if (hasEndlessPart(root)) return 'refers to itself on the same value';
  return countParts(root) > maxParts ? `has more than ${maxParts} parts, each reference written out` : undefined;
}

function hasEndlessPart(root: Node): boolean {
  const seen = new Map<Node, 'open' | 'ends'>();
  const isEndless = (node: Node): boolean => {
    const state = seen.get(node);
    if (state !== undefined) return state === 'open';
    seen.set(node, 'open');
    const found = onSameValue(node, root).some(isEndless);
    seen.set(node, 'ends');
    return found;
  };
  const isAnywhere = (node: Node): boolean => isEndless(node) || Object.values(node).filter(isNode).some(isAnywhere);
  return isAnywhere(root);
}

function countParts(root: Node): number {
  const counts = new Map<Node, number>();
  const count = (node: Node): number => {
    const known = counts.get(node);
    if (known !== undefined) return known;
    // While it is being counted, it counts for nothing inside itself.
    counts.set(node, 0);
    const { definitions: _, $defs: __, ...parts } = node;
    const parted = [...Object.values(parts).filter(isNode), ...referred(node, root)];
    const total = parted.reduce((sum, part) => sum + count(part), 1);
    counts.set(node, total);
    return total;
  };
  return count(root);
}

/** The parts of a schema that are tried on the very value that it is tried on. */
function onSameValue(node: Node, root: Node): Node[] {
  const { allOf, anyOf, oneOf, not, dependencies, if: condition, then: consequence, else: alternative } = node;
  const lists = [allOf, anyOf, oneOf, dependencies].filter(isNode).flatMap((list) => Object.values(list));
  return [...[...lists, not, condition, consequence, alternative].filter(isNode), ...referred(node, root)];
}

function referred({ $ref: reference }: Node, root: Node): Node[] {
  if (typeof reference !== 'string' || !/^#(?:\/|$)/.test(reference)) return [];
  const names = decodeURIComponent(reference).split('/').slice(1);
  let target: unknown = root;
  for (const name of names) target = isNode(target) ? target[name.replaceAll('~1', '/').replaceAll('~0', '~')] : undefined;
  return isNode(target) ? [target] : [];
}

function isNode(value: unknown): value is Node {
  return typeof value === 'object' && value !== null;
}
