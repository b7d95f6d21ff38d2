/** What is wrong with a query, from the words of the schema library to ours: one fault for each parameter. */
import type { z } from '@hono/zod-openapi';
import type { FieldError } from '../shared/domain/field-error.ts';

const maxErrors = 50;
const maxNameLength = 100;

export function toQueryErrors(issues: readonly z.core.$ZodIssue[]): FieldError[] {
  const messages = new Map<string, string>();
  for (const issue of issues) {
    const names = issue.code === 'unrecognized_keys' ? issue.keys : [issue.path.map(String).join('.')];
    for (const name of names) {
      const path = name.slice(0, maxNameLength);
      // A later rule says the same in other words.
      if (!messages.has(path)) messages.set(path, messageOf(issue));
    }
  }
  return [...messages].slice(0, maxErrors).map(([path, message]) => ({ path, message }));
}

/** Every parameter is one text and may be left out, so that of a wrong type is one that was given twice. */
function messageOf(issue: z.core.$ZodIssue): string {
  return issue.code === 'invalid_type' ? 'expected one value' : issue.message;
}
