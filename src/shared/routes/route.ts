/** A route: which operations addressed to `auto` go to which providers. Its fields with their bounds, as they travel and are stored. */
import { z } from 'zod';
import type { FieldError } from '../domain/field-error.ts';
import { autoProvider, maxChildren } from '../domain/parent-id.ts';
import { type CompileRule, maxRuleLength, type Rule } from './rule.ts';

export const routeNameShape = /^[a-z0-9_-]{1,64}$/;
/** An operation asks every route; with more of them that would take longer than everything else at the door. */
export const maxRoutes = 200;
/** A route of this entity is for all of them. */
export const anyEntity = '*';
/** `POST /routes/try` would look like a route. */
const reservedNames: ReadonlySet<string> = new Set(['try']);

const text = (meaning: string) => z.string().min(1).max(64).meta({ description: meaning });

export const routeWire = z.strictObject({
  name: z
    .string()
    .regex(routeNameShape, 'must be 1 to 64 of a-z, 0-9, _ and -')
    .refine((name) => !reservedNames.has(name), 'is reserved'),
  entity: text('The kind of record it is for; `*` for all.').default(anyEntity),
  filter: z
    .string()
    .min(1)
    .max(maxRuleLength)
    .meta({ description: 'A condition in CEL over data, entity, operation, tenant and source. Without it, all operations match.' })
    .optional(),
  providers: z
    .array(z.string().max(64))
    .min(1, 'must name at least one provider')
    .max(maxChildren, `must name at most ${maxChildren} providers`)
    .refine((names) => new Set(names).size === names.length, 'must name each provider once')
    .refine((names) => !names.includes(autoProvider), `must not name ${autoProvider}`)
    .meta({ description: 'Registered providers.' }),
  enabled: z.boolean().default(true),
  position: z
    .int({ error: 'must be a whole number from 0 to 1000000', abort: true })
    .min(0)
    .max(1_000_000)
    .default(100)
    .meta({ description: 'Routes are asked in this order, then by name; all that match count.' }),
  tenant: text('The tenant it is for; without it, all.').optional(),
});
export type RouteWire = z.infer<typeof routeWire>;

/** What an answer shows besides; accepted and ignored when it is sent back. */
const readOnlyFields: readonly string[] = ['version', 'created_at', 'updated_at'];

export interface Route extends RouteWire {
  readonly rule: Rule | undefined;
}

export type ParsedRoute =
  | { readonly status: 'valid'; readonly wire: RouteWire; readonly route: Route }
  | { readonly status: 'invalid'; readonly errors: readonly FieldError[] };

const maxErrors = 20;

/** Checks everything but whether the providers are registered. Never throws. */
export function parseRoute(input: unknown, compileRule: CompileRule): ParsedRoute {
  const parsed = routeWire.safeParse(withoutReadOnly(input));
  if (!parsed.success) return { status: 'invalid', errors: parsed.error.issues.flatMap(toErrors).slice(0, maxErrors) };
  const wire = parsed.data;
  if (wire.filter === undefined) return { status: 'valid', wire, route: { ...wire, rule: undefined } };
  const compiled = compileRule(wire.filter);
  if (compiled.status === 'refused') return { status: 'invalid', errors: [{ path: 'filter', message: compiled.message }] };
  return { status: 'valid', wire, route: { ...wire, rule: compiled.rule } };
}

function withoutReadOnly(input: unknown): unknown {
  if (typeof input !== 'object' || input === null || Array.isArray(input)) return input;
  return Object.fromEntries(Object.entries(input).filter(([name]) => !readOnlyFields.includes(name)));
}

function toErrors(issue: z.core.$ZodIssue): FieldError[] {
  const path = issue.path.map(String).join('.').slice(0, 200);
  if (issue.code !== 'unrecognized_keys') return [{ path, message: issue.message }];
  return issue.keys.map((name) => ({ path: (path === '' ? name : `${path}.${name}`).slice(0, 200), message: 'no such field' }));
}
