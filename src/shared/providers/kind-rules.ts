/** What a configuration may hold follows from its kind: ways to authenticate, batch calls, settings of its own; and so do some defaults. */

import type { FieldError } from '../domain/field-error.ts';
import { toFieldErrors } from './field-errors.ts';
import type { KindDescription } from './kinds/kind.ts';
import { defaultBatchWaitMs, type ProviderWire } from './wire.ts';

export function checkAgainstKind(wire: ProviderWire, kind: KindDescription): FieldError[] {
  const errors: FieldError[] = [];
  if (!kind.authTypes.includes(wire.auth_config.type)) {
    errors.push({ path: 'auth_config.type', message: `must be one of ${kind.authTypes.join(', ')} for the kind ${kind.name}` });
  }
  if (!kind.isGeneric && wire.endpoints)
    errors.push({ path: 'endpoints', message: `the kind ${kind.name} has methods and paths of its own` });
  return [...errors, ...checkBatch(wire, kind)];
}

function checkBatch({ batch }: ProviderWire, kind: KindDescription): FieldError[] {
  if (!batch) return [];
  if (!kind.batch) return [{ path: 'batch', message: `the kind ${kind.name} has no batch call` }];
  const errors: FieldError[] = [];
  const { maxRecords } = kind.batch;
  if ((batch.max_records ?? 0) > maxRecords) {
    errors.push({
      path: 'batch.max_records',
      message: `must be at most ${maxRecords}: a batch call of the kind ${kind.name} takes no more`,
    });
  }
  if (!kind.isGeneric && batch.path !== undefined) {
    errors.push({ path: 'batch.path', message: `the kind ${kind.name} has a batch call of its own` });
  }
  return errors;
}

/** The kind's own settings, defaults filled in. */
export function parseOptions(
  { options }: ProviderWire,
  kind: KindDescription,
): { options?: Record<string, unknown>; errors: FieldError[] } {
  if (!kind.options) {
    const names = Object.keys(options ?? {});
    return { errors: names.map((name) => ({ path: `options.${name}`, message: `the kind ${kind.name} has no options` })) };
  }
  const parsed = kind.options.safeParse(options ?? {}, { reportInput: true });
  if (parsed.success) return { options: parsed.data, errors: [] };
  return { errors: parsed.error.issues.flatMap((issue) => toFieldErrors({ ...issue, path: ['options', ...issue.path] })) };
}

export function fillKindDefaults(wire: ProviderWire, kind: KindDescription, options: Record<string, unknown> | undefined): ProviderWire {
  const hasLimits = wire.limits !== undefined || wire.rate_limit !== undefined || kind.limits.length === 0;
  const batch = wire.batch ?? (kind.batch?.isOn ? {} : undefined);
  return {
    ...wire,
    kind: kind.name,
    ...(hasLimits ? {} : { limits: kind.limits.map((limit) => ({ ...limit })) }),
    batch: batch && { max_records: kind.batch?.defaultRecords, max_wait_ms: defaultBatchWaitMs, ...batch },
    options,
  };
}
