import type { LookupAddress } from 'node:dns';
import { expect, it } from 'vitest';
import { shareLookups } from './shared-lookups.ts';

const here: LookupAddress[] = [{ address: '192.0.2.1', family: 4 }];

/** A resolver that answers when it is told to. */
function playResolver() {
  const asked: { name: string; answer: (addresses: LookupAddress[]) => void; fail: (error: Error) => void }[] = [];
  const resolve = shareLookups((name) => new Promise((answer, fail) => asked.push({ name, answer, fail })));
  return { asked, resolve, names: () => asked.map(({ name }) => name) };
}

it('a name whose servers keep silent is looked up once, whoever asks, and holds up no other', async () => {
  const { asked, resolve, names } = playResolver();
  const silent = Array.from({ length: 20 }, () => resolve('dead.example'));
  const other = resolve('crm.example');
  expect(names()).toEqual(['dead.example', 'crm.example']);
  asked[1]?.answer(here);
  expect(await other).toEqual(here);
  asked[0]?.answer(here);
  expect(await Promise.all(silent)).toEqual(silent.map(() => here));
});

it('what came of it is shared and then forgotten', async () => {
  const { asked, resolve, names } = playResolver();
  const failing = [resolve('crm.example'), resolve('crm.example')];
  asked[0]?.fail(new Error('no such name'));
  expect(await Promise.allSettled(failing)).toMatchObject(failing.map(() => ({ status: 'rejected', reason: { message: 'no such name' } })));
  const again = resolve('crm.example');
  asked[1]?.answer(here);
  expect(await again).toEqual(here);
  const later = resolve('crm.example');
  asked[2]?.answer([]);
  expect(await later).toEqual([]);
  expect(names()).toHaveLength(3);
});
