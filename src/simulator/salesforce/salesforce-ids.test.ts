import { expect, test } from 'vitest';
import { createIdMaker, readId } from './salesforce-ids.ts';
import { settingsSchema } from './settings.ts';

test('the last three characters of an id say which of the others are capitals', () => {
  expect(readId('001D000000IRFma')).toBe('001D000000IRFmaIAH');
  expect(readId('001D000000IRFmaIAH')).toBe('001D000000IRFmaIAH');
  expect(readId('001D000000IRFmaIAG')).toBeUndefined();
  expect([readId(''), readId('001D000000IRFm'), readId('001D000000IRF/a')]).toEqual([undefined, undefined, undefined]);
});

test('ids are of their type, whole, and never the same', () => {
  const makeId = createIdMaker(0);
  const ids = Array.from({ length: 1_000 }, () => makeId('003'));
  expect(new Set(ids).size).toBe(1_000);
  expect(ids.every((id) => id.startsWith('003') && id.length === 18 && readId(id) === id)).toBe(true);
});

test('the ids in the default settings are whole', () => {
  const { organization_id, user_id } = settingsSchema.parse({});
  expect([readId(organization_id), readId(user_id)]).toEqual([organization_id, user_id]);
});
