/** What the schema library says of a wrong value where a schema has no words of its own: in the words of the other refusals. */
import { z } from 'zod';

const typeNames: Readonly<Record<string, string>> = {
  string: 'a string',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
  object: 'an object',
  record: 'an object',
  array: 'a list',
};

/** For the whole process, as the library has it: configurations and routes are checked in many places. May be called again. */
export function useOwnWords(): void {
  z.config({ customError: wordIssue });
}

/** Undefined leaves it to the library. */
function wordIssue(issue: z.core.$ZodRawIssue): string | undefined {
  switch (issue.code) {
    case 'invalid_type': {
      const type = typeNames[issue.expected] ?? issue.expected;
      return issue.input === undefined ? `is required (${issue.expected})` : `must be ${type}`;
    }
    case 'invalid_value':
      return issue.values.length === 1 ? `must be ${String(issue.values[0])}` : `must be one of ${issue.values.map(String).join(', ')}`;
    case 'too_small':
      return `must ${sizeOf(issue.origin)} ${issue.inclusive === false ? 'more than' : 'at least'} ${issue.minimum}${unitOf(issue.origin, issue.minimum)}`;
    case 'too_big':
      return `must ${sizeOf(issue.origin)} ${issue.inclusive === false ? 'less than' : 'at most'} ${issue.maximum}${unitOf(issue.origin, issue.maximum)}`;
    case 'invalid_format':
      return 'has the wrong form';
    case 'invalid_key':
      return 'is not an allowed name';
    case 'invalid_union':
      return 'has none of the allowed forms';
    default:
      return undefined;
  }
}

const sizeOf = (origin: string) => (origin === 'number' || origin === 'int' ? 'be' : 'have');

function unitOf(origin: string, count: number | bigint): string {
  if (origin === 'number' || origin === 'int') return '';
  const unit = origin === 'string' ? 'character' : 'item';
  return ` ${unit}${Number(count) === 1 ? '' : 's'}`;
}
