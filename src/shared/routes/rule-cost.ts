/**
 * What a filter may be made of, and how long it may take in the worst case. The language has no bound on time of its own: three loops in
 * each other over 200 items take seconds, its `matches` is a backtracking engine, `cel.bind` doubles a text with every use, its parser of
 * durations is cubic. So this walk knows a closed list of what is allowed, and adds up what each part costs at most, with every text, list
 * and object as large as rule-facts.ts lets them be. What might take too long is refused when the filter is saved.
 * Rejected: a time limit (the same operation would be routed differently under load), counting steps while evaluating (the library has no
 * place for it).
 */
import type { ASTNode } from '@marcbachmann/cel-js';
import { maxChars, maxItems, maxValues } from './rule-facts.ts';
import { maxPatternText, type Pattern, readPattern } from './rule-pattern.ts';

/** Of the worst case, by the figures below. */
const maxMicros = 3_000;

/**
 * Microseconds of one thing each, from a trial on one of two busy cores, before the code is warm. An error that is caught on the way
 * (`||`, `&&`, loops) costs its message, which grows with the filter's text.
 */
const costs = { node: 0.2, item: 0.1, deepComparison: 150, error: 3, errorPerChar: 0.005, char: 0.04, patternStep: 0.15 };

const variableNames: ReadonlySet<string> = new Set(['data', 'entity', 'operation', 'tenant', 'source']);
const loops: ReadonlySet<string> = new Set(['exists', 'exists_one', 'all', 'filter']);
const functions: ReadonlySet<string> = new Set(['has', 'size', 'int', 'double', 'string', 'bool', 'timestamp']);
const methods: ReadonlySet<string> = new Set([
  'startsWith',
  'endsWith',
  'contains',
  'like',
  'lowerAscii',
  'upperAscii',
  'trim',
  'size',
  ...loops,
]);

export type Inspected =
  | { readonly status: 'allowed'; readonly patterns: ReadonlyMap<string, Pattern> }
  /** `at`: offset in the filter's text. */
  | { readonly status: 'refused'; readonly message: string; readonly at: number };

/** The most that a part of a filter can cost and give. */
interface Bound {
  readonly micros: number;
  readonly chars: number;
  readonly items: number;
  /** Certainly no list or object, so comparing it is cheap. */
  readonly isScalar: boolean;
  /** An item of the loop around it, or a part of one: all items together are no larger than the data. */
  readonly isItem: boolean;
}

interface Loop {
  readonly variable: string;
  readonly items: number;
}

class Refusal extends Error {
  readonly at: number;
  constructor(message: string, at: number) {
    super(message);
    this.at = at;
  }
}

/** `ast` as the parser made it of `text`. Never throws. */
export function inspectRule(ast: ASTNode, text: string): Inspected {
  const walk = new Walk(text);
  try {
    const { micros } = walk.bound(ast, undefined);
    if (micros <= maxMicros) return { status: 'allowed', patterns: walk.patterns };
    const message = `may take too long: ${Math.ceil(micros)} µs in the worst case, of at most ${maxMicros}; a list counts with ${maxItems} items, a text with ${maxChars} characters`;
    return { status: 'refused', message, at: 0 };
  } catch (error) {
    if (error instanceof Refusal) return { status: 'refused', message: error.message, at: error.at };
    throw error;
  }
}

class Walk {
  readonly patterns = new Map<string, Pattern>();
  private readonly errorMicros: number;

  constructor(text: string) {
    this.errorMicros = costs.error + text.length * costs.errorPerChar;
  }

  bound(node: ASTNode, loop: Loop | undefined): Bound {
    switch (node.op) {
      case 'value':
        return boundLiteral(node.args);
      case 'id':
        return { ...dynamic(costs.node), isItem: node.args === loop?.variable, items: node.args === 'data' ? maxValues : maxItems };
      case '.':
        return this.boundAccess(node.args[0], [], loop);
      case '[]':
        return this.boundAccess(node.args[0], [node.args[1]], loop);
      case 'list':
        return this.boundList(node.args, loop);
      case '?:':
        return this.boundTernary(node.args, loop);
      case '||':
      case '&&':
        return scalar(this.sum(node.args, loop) + costs.node + this.errorMicros);
      case '!_':
      case '-_':
        return scalar(this.sum([node.args], loop) + costs.node);
      case '==':
      case '!=':
      case 'in':
        return this.boundComparison(node, loop);
      case '<':
      case '<=':
      case '>':
      case '>=':
      case '-':
      case '*':
      case '/':
      case '%':
        return scalar(this.sum(node.args, loop) + costs.node);
      case '+':
        return this.boundSum(node.args, loop);
      case 'call':
        return this.boundCall(node, loop);
      case 'rcall':
        return this.boundMethod(node, loop);
      default:
        throw new Refusal(`\`${node.op}\` is not allowed here`, node.start);
    }
  }

  private sum(nodes: readonly ASTNode[], loop: Loop | undefined): number {
    return nodes.reduce((micros, node) => micros + this.bound(node, loop).micros, 0);
  }

  private boundAccess(receiver: ASTNode, index: readonly ASTNode[], loop: Loop | undefined): Bound {
    const { micros, isItem } = this.bound(receiver, loop);
    return { ...dynamic(micros + this.sum(index, loop) + costs.node), isItem };
  }

  private boundList(nodes: readonly ASTNode[], loop: Loop | undefined): Bound {
    const items = nodes.map((node) => this.bound(node, loop));
    const micros = items.reduce((sum, item) => sum + item.micros, costs.node);
    return { ...dynamic(micros), items: items.length, isScalar: items.every(({ isScalar }) => isScalar) };
  }

  private boundTernary(nodes: readonly [ASTNode, ASTNode, ASTNode], loop: Loop | undefined): Bound {
    const [condition, yes, no] = nodes.map((node) => this.bound(node, loop)) as [Bound, Bound, Bound];
    return {
      micros: condition.micros + yes.micros + no.micros + costs.node,
      chars: Math.max(yes.chars, no.chars),
      items: Math.max(yes.items, no.items),
      isScalar: yes.isScalar && no.isScalar,
      isItem: yes.isItem && no.isItem,
    };
  }

  /** Comparing stops at the smaller side's end; `in` compares with every item of a list. */
  private boundComparison({ op, args }: { op: string; args: readonly [ASTNode, ASTNode] }, loop: Loop | undefined): Bound {
    const left = this.bound(args[0], loop);
    const right = this.bound(args[1], loop);
    const isCheap = left.isScalar || right.isScalar;
    const isShared = loop !== undefined && (left.isItem || right.isItem);
    const deep = isCheap ? 0 : costs.deepComparison / (isShared ? Math.max(1, loop.items) : 1);
    const items = op === 'in' ? right.items * (costs.item + (right.isScalar || left.isScalar ? 0 : deep / maxItems)) + deep : 0;
    return scalar(left.micros + right.micros + costs.node + Math.max(deep, items));
  }

  /** Numbers, texts and lists: the last two grow. */
  private boundSum(args: readonly [ASTNode, ASTNode], loop: Loop | undefined): Bound {
    const [left, right] = args.map((node) => this.bound(node, loop)) as [Bound, Bound];
    const chars = left.chars + right.chars;
    const items = left.items + right.items;
    return {
      micros: left.micros + right.micros + costs.node + items * costs.item,
      chars,
      items,
      isScalar: left.isScalar && right.isScalar,
      isItem: false,
    };
  }

  private boundCall(node: ASTNode & { op: 'call' }, loop: Loop | undefined): Bound {
    const [name, args] = node.args;
    if (!functions.has(name)) throw new Refusal(`no such function: ${name}`, node.start);
    const bounds = args.map((arg) => this.bound(arg, loop));
    const chars = bounds.reduce((most, bound) => Math.max(most, bound.chars), 0);
    const micros = bounds.reduce((sum, bound) => sum + bound.micros, costs.node) + chars * costs.char;
    return { ...scalar(micros + (name === 'has' ? this.errorMicros : 0)), chars };
  }

  private boundMethod(node: ASTNode & { op: 'rcall' }, loop: Loop | undefined): Bound {
    const [name, receiver, args] = node.args;
    if (name === 'matches') throw new Refusal('`matches` is not allowed: use `like`, which takes the same patterns', node.start);
    if (!methods.has(name)) throw new Refusal(`no such function: ${name}`, node.start);
    if (loops.has(name)) return this.boundLoop(node, loop);
    const { micros, chars } = this.bound(receiver, loop);
    if (name === 'like') return scalar(micros + this.boundPattern(node) * Math.min(chars, maxPatternText));
    const inner = this.sum(args, loop);
    const own = name === 'contains' ? chars * costs.char * (1 + literalText(node, 'contains').length / 20) : chars * costs.char;
    return { ...scalar(micros + inner + costs.node + own), chars };
  }

  /** Microseconds for a character of the text. */
  private boundPattern(node: ASTNode & { op: 'rcall' }): number {
    const source = literalText(node, 'like');
    const read = readPattern(source);
    if (read.status === 'refused') throw new Refusal(read.message, (node.args[2][0] as ASTNode).start);
    this.patterns.set(source, read.pattern);
    return read.pattern.size * costs.patternStep;
  }

  private boundLoop(node: ASTNode & { op: 'rcall' }, loop: Loop | undefined): Bound {
    const [name, receiver, args] = node.args;
    if (loop) throw new Refusal(`\`${name}\` is not allowed inside another loop`, node.start);
    const [variable, body] = args;
    if (args.length !== 2 || variable?.op !== 'id' || !body) throw new Refusal(`\`${name}\` takes a name and a condition`, node.start);
    if (variableNames.has(variable.args)) throw new Refusal(`\`${variable.args}\` has a meaning already`, variable.start);
    const { micros, items } = this.bound(receiver, undefined);
    const each = this.bound(body, { variable: variable.args, items }).micros + costs.node + this.errorMicros;
    return { ...dynamic(micros + items * each), items, isScalar: name !== 'filter' };
  }
}

function boundLiteral(value: unknown): Bound {
  return { ...scalar(costs.node), chars: typeof value === 'string' ? value.length : 0 };
}

/** A field's value: anything within the bounds. */
function dynamic(micros: number): Bound {
  return { micros, chars: maxChars, items: maxItems, isScalar: false, isItem: false };
}

function scalar(micros: number): Bound {
  return { micros, chars: 0, items: 0, isScalar: true, isItem: false };
}

/** The only argument, where it is a literal text. */
function literalText(node: ASTNode & { op: 'rcall' }, name: string): string {
  const [argument] = node.args[2];
  if (node.args[2].length === 1 && argument?.op === 'value' && typeof argument.args === 'string') return argument.args;
  throw new Refusal(`\`${name}\` takes one text, written in quotes`, node.start);
}
