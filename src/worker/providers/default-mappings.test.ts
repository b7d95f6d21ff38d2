import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import type { CanonicalDefaults } from './canonical-mapper.ts';
import { defaultsOf as hubspot } from './hubspot/mapping.ts';
import { defaultsOf as outreach } from './outreach/mapping.ts';
import { defaultsOf as salesforce } from './salesforce/fields.ts';

describe('docs/mapping.md', () => {
  const page = readFileSync(new URL('../../../docs/mapping.md', import.meta.url), 'utf8');
  const table = page.slice(page.indexOf('| field |'), page.indexOf('- `name`'));
  const rows = [...table.matchAll(/^\| `([a-z_]+)` \|(.*)\|$/gm)].map(([, name = '', cells = '']) => [name, cells.split('|')] as const);

  const cellOf = (defaults: CanonicalDefaults, name: string) => {
    const field = defaults[name]?.field;
    return field === undefined ? '' : field === null ? 'left out' : `\`${field}\``;
  };

  it.each([
    ['salesforce contact', salesforce('Contact')],
    ['salesforce lead', salesforce('Lead')],
    ['hubspot contact', hubspot('contacts')],
    ['outreach prospect', outreach('prospect')],
  ])('has every field of a %s', (header, defaults) => {
    const headers = /^\| field \|(.*)\|$/m
      .exec(table)?.[1]
      ?.split('|')
      .map((cell) => cell.replaceAll('`', '').trim());
    const column = headers?.indexOf(header) ?? -1;
    const told = Object.fromEntries(rows.map(([name, cells]) => [name, cells[column]?.trim()]));
    expect(told).toEqual(Object.fromEntries(rows.map(([name]) => [name, cellOf(defaults, name)])));
    expect(rows.map(([name]) => name)).toEqual(expect.arrayContaining(Object.keys(defaults)));
  });
});
