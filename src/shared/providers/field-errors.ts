/** What is wrong with a wire form, from the words of the schema library to ours. */
import type { z } from 'zod';
import type { FieldError } from '../domain/field-error.ts';
import { secretFields } from './auth-wire.ts';

/** Of a parse with `reportInput`: without it, what is missing cannot be told from what has a wrong type. */
export function toFieldErrors(issue: z.core.$ZodIssue): FieldError[] {
  const path = issue.path.map(String).join('.');
  if (issue.code === 'unrecognized_keys')
    return issue.keys.map((key) => ({ path: path === '' ? key : `${path}.${key}`, message: 'is not a known field' }));
  if (issue.code === 'invalid_union' && path.endsWith('type'))
    return [{ path, message: `must be one of ${Object.keys(secretFields).join(', ')}` }];
  if (issue.code === 'invalid_type' && issue.input === undefined) return [{ path, message: `is required (${issue.expected})` }];
  return [{ path, message: issue.message }];
}
