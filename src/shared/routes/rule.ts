/**
 * The language of filters: CEL (Common Expression Language), as @marcbachmann/cel-js speaks it, behind an interface of our own, so that
 * another implementation can take its place. A filter is checked when it is saved: what is misspelt, ill-typed, or might take too long
 * (rule-cost.ts) is refused with its position. Evaluating then never throws; what cannot be evaluated, such as a comparison with a field that
 * is missing, is not true.
 */
import { type ASTNode, Environment } from '@marcbachmann/cel-js';
import { type Inspected, inspectRule } from './rule-cost.ts';
import { type RuleFacts, Unseen } from './rule-facts.ts';

export const maxRuleLength = 1_000;
const limits = { maxAstNodes: 300, maxDepth: 24, maxListElements: 100, maxMapEntries: 0, maxCallArguments: 4 } as const;

export type Verdict =
  | { readonly status: 'true' }
  | { readonly status: 'false' }
  /** Counts as false. */
  | { readonly status: 'failed'; readonly reason: string };

export interface Rule {
  readonly text: string;
  /** Takes a few milliseconds at most, whatever the facts. Never throws. */
  evaluate(facts: RuleFacts): Verdict;
}

export type CompiledRule =
  | { readonly status: 'compiled'; readonly rule: Rule }
  /** The message names line and column, both from 1. */
  | { readonly status: 'refused'; readonly message: string };

export type CompileRule = (text: string) => CompiledRule;

const verdicts = { true: { status: 'true' }, false: { status: 'false' } } as const satisfies Record<string, Verdict>;

/** The compiler is made once; making it is what costs. */
export function createRuleCompiler(): CompileRule {
  const language = new Environment({ unlistedVariablesAreDyn: false, homogeneousAggregateLiterals: false, limits })
    .registerType('Unseen', Unseen)
    .registerVariable('data', 'map<string, dyn>')
    .registerVariable('entity', 'string')
    .registerVariable('operation', 'string')
    .registerVariable('tenant', 'string')
    .registerVariable('source', 'string');

  return (text) => {
    if (text.length > maxRuleLength) return { status: 'refused', message: `has more than ${maxRuleLength} characters` };
    try {
      return compile(language, text);
    } catch (error) {
      return refused(text, error);
    }
  };
}

/** Throws the parser's error. */
function compile(language: Environment, text: string): CompiledRule {
  let patterns: (Inspected & { status: 'allowed' })['patterns'] = new Map();
  const like = (given: string, pattern: string): boolean => patterns.get(pattern)?.isIn(given) ?? false;
  const program = language.clone().registerFunction('string.like(string): bool', like, { async: false }).parse(text);
  const inspected = inspectRule(program.ast as ASTNode, text);
  if (inspected.status === 'refused') return { status: 'refused', message: located(text, inspected.at, inspected.message) };
  patterns = inspected.patterns;
  const { valid, type, error } = program.check();
  if (!valid) return refused(text, error);
  if (type !== 'bool' && type !== 'dyn') return { status: 'refused', message: `gives a value of type ${type}, not true or false` };
  return { status: 'compiled', rule: { text, evaluate: (facts) => evaluate(program, facts) } };
}

function evaluate(program: (variables: RuleFacts['variables']) => unknown, { variables }: RuleFacts): Verdict {
  // An error is an ordinary answer here, and most of its price is the stack that nobody reads.
  const { stackTraceLimit } = Error;
  Error.stackTraceLimit = 0;
  try {
    const value = program(variables);
    if (typeof value === 'boolean') return value ? verdicts.true : verdicts.false;
    return { status: 'failed', reason: 'gives neither true nor false' };
  } catch (error) {
    return { status: 'failed', reason: summaryOf(error) };
  } finally {
    Error.stackTraceLimit = stackTraceLimit;
  }
}

/** The library's errors keep their first line apart from the picture of the place. */
function summaryOf(error: unknown): string {
  const { summary, message } = error as { summary?: string; message?: string };
  return (summary ?? message ?? 'cannot be evaluated').slice(0, 300);
}

function refused(text: string, error: unknown): CompiledRule {
  const at = (error as { range?: { start?: number } }).range?.start ?? 0;
  return { status: 'refused', message: located(text, at, summaryOf(error)) };
}

function located(text: string, at: number, message: string): string {
  const before = text.slice(0, at).split('\n');
  return `line ${before.length}, column ${(before.at(-1) as string).length + 1}: ${message}`;
}
