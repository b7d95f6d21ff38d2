/**
 * Which regular expressions of a payload schema may be run. A backtracking engine needs exponential time where a repeated group can
 * cut the same text in several ways, such as `(a+)+` or `(a|ab)*`. So a repeated group is accepted only where its cuts are plain:
 *  - all its branches have a fixed length and begin with different characters, or
 *  - it has one branch, which begins or ends with a character that nothing else in the group matches, as in `(-[a-z0-9]+)*`.
 * This is stricter than needed, and simple; what it refuses can be written otherwise. Back-references and look-around are refused.
 * What remains is polynomial, and held in check by trying patterns on short texts only (`maxPatternInput`).
 * Rejected: a time limit (none exists for a running RegExp), an engine without backtracking (a dependency more).
 */

/** Longer texts do not match a pattern. At this length a cubic pattern takes a fraction of a second. */
export const maxPatternInput = 1_000;
const maxPatternLength = 500;

/** What is wrong with the pattern, in words; undefined where it may be used. */
export function checkPattern(pattern: string): string | undefined {
  if (pattern.length > maxPatternLength) return `a pattern has at most ${maxPatternLength} characters`;
  try {
    new RegExp(pattern, 'u');
  } catch {
    return 'is not a regular expression';
  }
  try {
    const rest = readAlternatives(new Cursor(pattern));
    return rest.problem;
  } catch {
    return 'is too deeply nested';
  }
}

class Cursor {
  at = 0;
  readonly text: string;
  constructor(text: string) {
    this.text = text;
  }
  get isDone(): boolean {
    return this.at >= this.text.length;
  }
  /** The text from here on begins with `prefix`, which is then read. */
  take(prefix: string): boolean {
    if (!this.text.startsWith(prefix, this.at)) return false;
    this.at += prefix.length;
    return true;
  }
  takeMatch(shape: RegExp): string | undefined {
    shape.lastIndex = this.at;
    const found = shape.exec(this.text)?.[0];
    if (found !== undefined) this.at += found.length;
    return found;
  }
}

/** The characters an atom matches, as one bit for each sample; 'nothing' for an assertion such as `^`. */
type Characters = readonly boolean[];

interface Atom {
  readonly characters: Characters;
  /** Matches exactly one character, once. */
  readonly isOne: boolean;
}

interface Branches {
  readonly problem: string | undefined;
  readonly branches: readonly (readonly Atom[])[];
  /** Every branch matches one length only. */
  readonly isFixed: boolean;
}

/** Latin-1 one by one, and a few that stand for the rest. */
const samples = [...Array.from({ length: 256 }, (_, code) => String.fromCharCode(code)), 'Ā', 'я', '中', '\u2028', '😀'];
const refusedGroup = /\(\?(?:[=!]|<[=!])/y;
const groupStart = /\((?:\?:|\?<[^>=!]+>)?/y;
const charClass = /\[(?:\\.|[^\]\\])*\]/y;
const escaped = /\\(?:u\{[0-9a-fA-F]+\}|u[0-9a-fA-F]{4}|x[0-9a-fA-F]{2}|c[A-Za-z]|[pP]\{[^}]*\}|[\s\S])/y;
const quantifier = /(?:[*+?]|\{(\d+)(,(\d*))?\})\??/y;
const plain = /[\s\S]/uy;
const problems = {
  reference: 'uses a back-reference, which is not allowed here',
  lookaround: 'uses look-ahead or look-behind, which is not allowed here',
  ambiguous: 'repeats a group that can cut the same text in several ways, which may take exponential time',
} as const;

function readAlternatives(cursor: Cursor, depth = 0): Branches {
  if (depth > 20) throw new Error('too deep');
  const branches: Atom[][] = [[]];
  let problem: string | undefined;
  let isFixed = true;
  while (!cursor.isDone && !cursor.text.startsWith(')', cursor.at)) {
    if (cursor.take('|')) {
      branches.push([]);
      continue;
    }
    const piece = readPiece(cursor, depth);
    problem ??= piece.problem;
    isFixed &&= piece.isFixed;
    branches.at(-1)?.push(...piece.atoms);
  }
  return { problem, branches, isFixed: isFixed && new Set(branches.map((branch) => branch.length)).size === 1 };
}

interface Piece {
  readonly problem?: string | undefined;
  readonly atoms: readonly Atom[];
  readonly isFixed: boolean;
}

/** One atom or group with its quantifier. */
function readPiece(cursor: Cursor, depth: number): Piece {
  if (cursor.takeMatch(refusedGroup)) return { problem: problems.lookaround, ...skipRest(cursor) };
  if (cursor.takeMatch(/\\(?:[bB])|[\^$]/y)) return { atoms: [], isFixed: true };
  if (cursor.takeMatch(/\\(?:[1-9]|k<)/y)) return { problem: problems.reference, ...skipRest(cursor) };
  if (cursor.takeMatch(groupStart)) return readGroup(cursor, depth);
  const source = cursor.takeMatch(charClass) ?? cursor.takeMatch(escaped) ?? cursor.takeMatch(plain) ?? '';
  const times = readTimes(cursor);
  return { atoms: [{ characters: charactersOf(source), isOne: times.min === 1 && times.max === 1 }], isFixed: times.min === times.max };
}

function readGroup(cursor: Cursor, depth: number): Piece {
  const group = readAlternatives(cursor, depth + 1);
  cursor.take(')');
  const times = readTimes(cursor);
  const problem = group.problem ?? (times.max > 1 && !hasPlainCuts(group) ? problems.ambiguous : undefined);
  const isFixed = group.isFixed && times.min === times.max;
  const isOnce = times.min === 1 && times.max === 1;
  if (isOnce && group.branches.length === 1) return { problem, atoms: group.branches[0] ?? [], isFixed };
  // Several branches or several times: all its characters count, and none of them surely.
  return { problem, atoms: group.branches.flat().map((atom) => ({ ...atom, isOne: false })), isFixed };
}

function hasPlainCuts(group: Branches): boolean {
  const [first, ...others] = group.branches;
  if (!first) return true;
  if (group.isFixed && group.branches.every((branch) => branch[0]?.isOne))
    return areDisjoint(group.branches.map((branch) => branch[0] as Atom));
  if (others.length > 0) return false;
  return isDelimiter(first[0], first.slice(1)) || isDelimiter(first.at(-1), first.slice(0, -1));
}

function isDelimiter(atom: Atom | undefined, others: readonly Atom[]): boolean {
  return atom?.isOne === true && others.every((other) => areDisjoint([atom, other]));
}

function areDisjoint(atoms: readonly Atom[]): boolean {
  return samples.every((_, index) => atoms.filter((atom) => atom.characters[index]).length <= 1);
}

function charactersOf(source: string): Characters {
  const shape = new RegExp(`^(?:${source})$`, 'u');
  return samples.map((sample) => shape.test(sample));
}

function readTimes(cursor: Cursor): { min: number; max: number } {
  const text = cursor.takeMatch(quantifier);
  if (text === undefined) return { min: 1, max: 1 };
  if (text.startsWith('*')) return { min: 0, max: Number.POSITIVE_INFINITY };
  if (text.startsWith('+')) return { min: 1, max: Number.POSITIVE_INFINITY };
  if (text.startsWith('?')) return { min: 0, max: 1 };
  const [, min, comma, max] = /\{(\d+)(,)?(\d*)\}/.exec(text) ?? [];
  if (comma === undefined) return { min: Number(min), max: Number(min) };
  return { min: Number(min), max: max === '' ? Number.POSITIVE_INFINITY : Number(max) };
}

/** After a refusal nothing more needs to be known. */
function skipRest(cursor: Cursor): Pick<Piece, 'atoms' | 'isFixed'> {
  cursor.at = cursor.text.length;
  return { atoms: [], isFixed: true };
}
