import { describe, expect, it } from 'vitest';
import { createKeeping } from './kept.ts';
import { createMask } from './masking.ts';
import type { CallOutcome } from './provider.ts';

const token = 'a-long-token-of-ours';
const keep = createKeeping(createMask([token, '1234']));
const refused = (message: string, answer?: string): CallOutcome => ({
  status: 'failed',
  error: { kind: 'invalid', code: 'rejected', message, providerStatus: 400, ...(answer === undefined ? {} : { answer }) },
});
const read = (result: unknown): unknown => {
  const kept = keep({ status: 'accepted', providerStatus: 200, result });
  return kept.status === 'accepted' ? kept.result : undefined;
};

describe('of a failure', () => {
  it('words and answer are kept without secrets, the rest as it is', () => {
    expect(keep(refused(`bad ${token}`, `{"password":"1234"}`))).toEqual(refused('bad ***', '{"password":"***"}'));
    expect(keep(refused('plain'))).toEqual(refused('plain'));
    expect(keep({ status: 'unsent', reason: `saw ${token}` })).toEqual({ status: 'unsent', reason: 'saw ***' });
  });

  it('a few words and a few kilobytes are kept', () => {
    const kept = keep(refused('m'.repeat(9_000), 'x'.repeat(9_000)));
    expect(kept).toEqual(refused(`${'m'.repeat(400)}…`, 'x'.repeat(4_096)));
  });

  it.each([380, 390, 399, 400])('no beginning of a secret is left where words are cut, after %i letters', (length) => {
    const kept = keep(refused(`${'m'.repeat(length)}${token}`, `${'x'.repeat(3_696 + length)}${token}`));
    expect(JSON.stringify(kept)).not.toContain('a-l');
  });

  it('answers of several calls are told apart', () => {
    const kept = [`1 ${token}`, `2 ${token}`, `1 ${token}`].map((answer) => keep(refused('m', answer)));
    expect(kept).toEqual([refused('m', '1 ***'), refused('m', '2 ***'), refused('m', '1 ***')]);
  });
});

describe('of a success', () => {
  it('the record’s id is a link, and stays whatever short secret is in it', () => {
    const made: CallOutcome = { status: 'accepted', providerStatus: 201, providerRecordId: '51234001' };
    expect(keep(made)).toBe(made);
  });

  it('an id that is our own credential is none', () => {
    expect(keep({ status: 'accepted', providerStatus: 201, providerRecordId: `id-${token}` })).toEqual({
      status: 'accepted',
      providerStatus: 201,
    });
  });

  it('what was read is masked text by text, and stays JSON', () => {
    const result = { id: 51_234_001, n: 7, note: `"${token}"\n`, [`key ${token}`]: [true, null, -12_340, { deep: 'x1234' }] };
    expect(read(result)).toEqual({ id: '5***001', n: 7, note: '"***"\n', 'key ***': [true, null, '-***0', { deep: 'x***' }] });
    expect(read('Bearer 1234')).toBe('Bearer ***');
    const plain = { id: 'x' };
    expect(read(plain)).toBe(plain);
  });

  it('what was read is bounded, and masked before', () => {
    const kept = read({ note: `${'x'.repeat(16_370)}${token}` }) as { truncated: boolean; text: string };
    expect(kept.truncated).toBe(true);
    expect(kept.text.length).toBeLessThanOrEqual(16_384);
    expect(kept.text).not.toContain('a-l');
    expect(read('x'.repeat(20_000))).toEqual({ truncated: true, text: 'x'.repeat(16_384) });
    expect(read({ truncated: true, text: `cut before ${token}` })).toEqual({ truncated: true, text: 'cut before ***' });
    expect(read({ n: 'x'.repeat(16_000) })).toEqual({ n: 'x'.repeat(16_000) });
  });

  it('what is nested more deeply than can be written is left out', () => {
    expect(read(JSON.parse('['.repeat(8_000) + ']'.repeat(8_000)))).toEqual({ truncated: true, text: '' });
  });
});
