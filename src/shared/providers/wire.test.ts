import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { createProviderKinds } from './kinds.ts';
import { providerWire, tenantWire } from './wire.ts';

/** As much of a JSON Schema as the fields of a provider use. */
interface Schema {
  readonly type?: string;
  readonly description?: string;
  readonly default?: unknown;
  readonly enum?: readonly string[];
  readonly minimum?: number;
  readonly exclusiveMinimum?: number;
  readonly maximum?: number;
  readonly anyOf?: readonly Schema[];
  readonly items?: Schema;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
}

interface Field {
  readonly path: string;
  readonly schema: Schema;
  readonly isRequired: boolean;
}

const describeWire = (wire: z.ZodType) => z.toJSONSchema(wire, { io: 'input' }) as Schema;

/** Every field with those inside it; what a kind or a page of its own explains is not entered. */
function fieldsOf(schema: Schema, notEntered: readonly string[], prefix = ''): Field[] {
  return Object.entries(schema.properties ?? {}).flatMap(([name, field]) => {
    const own = { path: prefix + name, schema: field, isRequired: schema.required?.includes(name) ?? false };
    if (notEntered.includes(own.path)) return [own];
    const inner = field.items ? fieldsOf(field.items, notEntered, `${own.path}[].`) : fieldsOf(field, notEntered, `${own.path}.`);
    return [own, ...inner];
  });
}

function rowOf({ path, schema, isRequired }: Field): string {
  const text = typeof schema.default === 'string' ? schema.default : JSON.stringify(schema.default);
  const hasDefault = text !== undefined && text !== '{}';
  const filledIn = hasDefault ? `\`${text}\`` : isRequired ? 'required' : '';
  return `| \`${path}\` | ${filledIn} | ${valuesOf(schema)} | ${schema.description} |`;
}

function valuesOf({ type, enum: words, minimum, exclusiveMinimum, maximum, anyOf }: Schema): string {
  const shown = (value: number | undefined) => value?.toLocaleString('en-US');
  if (words) return words.map((word) => `\`${word}\``).join(', ');
  if (exclusiveMinimum !== undefined) return `over ${exclusiveMinimum}, up to ${maximum}`;
  if (type === 'integer') return `${shown(minimum)} to ${shown(maximum)}`;
  if (anyOf) return anyOf.map((one) => typeNames[one.type ?? '']).join(' or ');
  return typeNames[type ?? ''] ?? 'object';
}

const typeNames: Readonly<Record<string, string>> = { string: 'text', number: 'number', boolean: 'true or false', array: 'list' };

describe('docs/providers.md', () => {
  it('has a row for every field with its default, values and meaning, and no other', () => {
    const page = readFileSync(new URL('../../../docs/providers.md', import.meta.url), 'utf8');
    const table = page.split('## Fields')[1]?.split('\n## ')[0] ?? '';
    const rows = table.split('\n').filter((line) => line.startsWith('| `'));
    expect(rows).toEqual(fieldsOf(describeWire(providerWire), ['auth_config', 'endpoints']).map(rowOf));
  });
});

describe('the schemas that callers are shown', () => {
  const shown = [...createProviderKinds().values()].map(({ name, schema }) => [name, schema as Schema] as const);

  it.each([...shown, ['a tenant', describeWire(tenantWire)] as const])('say what every field of %s means', (_, schema) => {
    const fields = fieldsOf(schema, ['auth_config', 'options']).filter(({ path }) => !/^endpoints\.[a-z]+$/.test(path));
    expect(fields.filter((field) => !field.schema.description).map(({ path }) => path)).toEqual([]);
  });
});
