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

/** The field of the whole form that an error is in. */
export const fieldOf = ({ path }: FieldError): string => path.split('.')[0] as string;

/** The fields without errors. */
export function withoutFaulty(input: unknown, errors: readonly FieldError[]): Readonly<Record<string, unknown>> {
  if (typeof input !== 'object' || input === null || Array.isArray(input)) return {};
  const faulty = new Set(errors.map(fieldOf));
  return Object.fromEntries(Object.entries(input).filter(([field]) => !faulty.has(field)));
}
