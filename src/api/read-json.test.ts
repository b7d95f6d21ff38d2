import { describe, expect, it } from 'vitest';
import { createStartBody, maxArrayBodyBytes, maxBodyBytes, mediaTypeProblem, parseBody } from './read-json.ts';

describe('mediaTypeProblem', () => {
  it.each([
    'application/json',
    'application/json; charset=utf-8',
    'Application/JSON;charset="UTF-8"',
    'application/merge-patch+json',
    'application/json ; charset=us-ascii',
  ])('takes %s', (type) => expect(mediaTypeProblem(type, undefined)).toBeUndefined());
  it.each([
    undefined,
    '',
    'text/plain',
    'application/json; charset=latin1',
    'application/jsonx',
    'multipart/form-data',
    'application/xml',
    'json',
  ])('refuses %s', (type) => expect(mediaTypeProblem(type, undefined)).toMatchObject({ status: 415 }));
  it('refuses compressed bodies', () => {
    expect(mediaTypeProblem('application/json', 'gzip')).toMatchObject({ status: 415 });
    expect(mediaTypeProblem('application/json', 'identity')).toBeUndefined();
  });
});

describe('createStartBody', () => {
  const startBody = createStartBody({ maxArrayBytes: maxArrayBodyBytes, maxHeldBytes: Number.POSITIVE_INFINITY });
  const startObject = createStartBody({ maxArrayBytes: maxBodyBytes, maxHeldBytes: Number.POSITIVE_INFINITY });
  const sized = (first: string, size: number, start = startBody) =>
    start().add(Buffer.concat([Buffer.from(first), Buffer.alloc(size - first.length, 0x20)]))?.code;

  it('puts the chunks of a body together', () => {
    const body = startBody();
    for (const chunk of ['{"a":', '"é'.slice(0, 2), '"}']) expect(body.add(Buffer.from(chunk))).toBeUndefined();
    expect(body.end().toString()).toBe('{"a":"é"}');
  });

  it('allows 1 MiB, and 8 MiB where the first character is a bracket', () => {
    expect(sized('{', maxBodyBytes)).toBeUndefined();
    expect(sized('{', maxBodyBytes + 1)).toBe('too_large');
    expect(sized(' \n[', maxArrayBodyBytes)).toBeUndefined();
    expect(sized('[', maxArrayBodyBytes + 1)).toBe('too_large');
    expect(sized(' ', maxBodyBytes + 1)).toBe('too_large');
  });

  it('allows 1 MiB, whatever it begins with, where no array is meant', () => {
    for (const first of ['{', '[', ' \n[']) {
      expect(sized(first, maxBodyBytes, startObject)).toBeUndefined();
      expect(sized(first, maxBodyBytes + 1, startObject)).toBe('too_large');
    }
  });

  it('refuses by the announced length what no body may have', () => {
    for (const [start, most] of [
      [startBody, maxArrayBodyBytes],
      [startObject, maxBodyBytes],
    ] as const) {
      expect(start().announce(String(most + 1))).toMatchObject({ status: 413 });
      expect(start().announce(String(most))).toBeUndefined();
      expect(start().announce(undefined)).toBeUndefined();
    }
  });

  it('bounds what all bodies hold together, until they are released', () => {
    const bounded = createStartBody({ maxArrayBytes: maxArrayBodyBytes, maxHeldBytes: 10 });
    const first = bounded();
    expect(first.add(Buffer.from('{"abc":1'))).toBeUndefined();
    expect(bounded().add(Buffer.from('{"abc":1'))).toMatchObject({ status: 503, code: 'unavailable' });
    first.release();
    first.release();
    expect(bounded().add(Buffer.from('{"abc":1}'))).toBeUndefined();
    expect(bounded().add(Buffer.from('{}'))).toMatchObject({ status: 503 });
  });
});

describe('parseBody', () => {
  it.each(['', '{', '[1,', 'nul', '{"a":01}', "{'a':1}", '{"a":NaN}', '"\u0001"', '{"a":1}x'])('refuses %j', (text) =>
    expect(parseBody(Buffer.from(text))).toMatchObject({ status: 'refused', problem: { status: 400, code: 'malformed_json' } }),
  );
  it('refuses what is not UTF-8 instead of guessing', () => {
    expect(parseBody(Buffer.from([0x22, 0xff, 0x22]))).toMatchObject({ problem: { code: 'malformed_json' } });
    expect(parseBody(Buffer.from([0x22, 0xed, 0xa0, 0x80, 0x22]))).toMatchObject({ problem: { code: 'malformed_json' } });
  });
  it('says where the fault is, and nothing of what is there', () => {
    const detailOf = (text: string) => {
      const parsed = parseBody(Buffer.from(text));
      return parsed.status === 'refused' ? parsed.problem.detail : undefined;
    };
    expect(detailOf('{\n  "token": hunter2\n}')).toBe('the fault is in line 2, column 12');
    expect(detailOf('{"token": "hunter2')).toBe('it ends too early, in line 1, column 19');
  });
  it('survives a body of nothing but brackets', () => {
    expect(parseBody(Buffer.from('['.repeat(1_000_000)))).toMatchObject({ status: 'refused' });
    expect(parseBody(Buffer.from('['.repeat(100_000) + ']'.repeat(100_000))).status).toBe('parsed');
  });
});
