import { expect, test } from 'vitest';
import { createInTurn } from './in-turn.ts';

/** Long enough for all that may begin. */
async function turns(): Promise<void> {
  for (let turn = 0; turn < 5; turn++) await new Promise(setImmediate);
}

/** Works on bodies until the test says that they are done. */
function start({ maxBytes = 100, maxWaitMs = 2_000 } = {}) {
  let nowMs = 0;
  const inTurn = createInTurn({ maxBytes, maxWaitMs, now: () => nowMs });
  const begun: string[] = [];
  const ends = new Map<string, (error?: Error) => void>();
  const come = (name: string, bytes: number) =>
    inTurn(bytes, () => {
      begun.push(name);
      return new Promise<string>((resolve, reject) => ends.set(name, (error) => (error ? reject(error) : resolve(name))));
    });
  const end = async (name: string, error?: Error) => {
    ends.get(name)?.(error);
    await turns();
  };
  const pass = (ms: number) => {
    nowMs += ms;
  };
  return { come, end, begun, pass };
}

test('as many at once as the bound allows, the others in the order of their coming', async () => {
  const { come, end, begun } = start();
  const all = ['a', 'b', 'c', 'd'].map((name) => come(name, 40));
  await turns();
  expect(begun).toEqual(['a', 'b']);
  await end('b');
  expect(begun).toEqual(['a', 'b', 'c']);
  await end('a');
  for (const name of ['c', 'd']) await end(name);
  expect(await Promise.all(all)).toEqual(['a', 'b', 'c', 'd']);
});

test('one in a turn of the event loop: what one has made of its body is sent before the next is parsed', async () => {
  const inTurn = createInTurn({ maxBytes: 100, maxWaitMs: 2_000, now: () => 0 });
  const events: string[] = [];
  const parse = (name: string) =>
    inTurn(1, async () => {
      events.push(`parse ${name}`);
      setImmediate(() => events.push(`send ${name}`));
    });
  await Promise.all(['a', 'b', 'c'].map(parse));
  await turns();
  expect(events.indexOf('send a')).toBeLessThan(events.indexOf('parse c'));
});

test('a small one does not overtake a large one that waits', async () => {
  const { come, end, begun } = start();
  for (const [name, bytes] of [
    ['a', 60],
    ['large', 90],
    ['small', 1],
  ] as const)
    void come(name, bytes);
  await turns();
  expect(begun).toEqual(['a']);
  await end('a');
  expect(begun).toEqual(['a', 'large', 'small']);
});

test('one that is larger than the bound has its turn, too', async () => {
  const { come, end, begun } = start();
  void come('a', 1_000);
  const b = come('b', 1_000);
  await turns();
  expect(begun).toEqual(['a']);
  await end('a');
  await end('b');
  expect(await b).toBe('b');
});

test('a failure is its own, and frees its place', async () => {
  const { come, end, begun } = start();
  const a = come('a', 100);
  void come('b', 100);
  const failed = expect(a).rejects.toThrow('a bug');
  await turns();
  await end('a', new Error('a bug'));
  await failed;
  expect(begun).toEqual(['a', 'b']);
});

test('who waits behind what hangs and fails is refused, without being worked on', async () => {
  const { come, end, begun, pass } = start();
  const a = expect(come('a', 100)).rejects.toThrow('time is over');
  const late = ['b', 'c'].map((name) => expect(come(name, 100)).rejects.toMatchObject({ problem: { code: 'unavailable', status: 503 } }));
  await turns();
  pass(2_001);
  const fresh = come('d', 100);
  await end('a', new Error('time is over'));
  await Promise.all([a, ...late]);
  expect(begun).toEqual(['a', 'd']);
  await end('d');
  expect(await fresh).toBe('d');
});

test('however long the line, nobody is refused while work gets done', async () => {
  const { come, end, begun, pass } = start();
  const names = ['a', 'b', 'c', 'd'];
  const all = names.map((name) => come(name, 100));
  await turns();
  for (const name of names) {
    pass(1_500);
    await end(name);
  }
  expect(await Promise.all(all)).toEqual(names);
  expect(begun).toEqual(names);
});
