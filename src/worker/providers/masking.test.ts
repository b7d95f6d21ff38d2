import { describe, expect, it } from 'vitest';
import { createMask } from './masking.ts';

describe('createMask', () => {
  it.each([
    ['as it is', 'bad token s3cr3t/+"x', 'bad token ***'],
    ['in JSON', JSON.stringify({ token: 's3cr3t/+"x' }), '{"token":"***"}'],
    ['in JSON with escaped slashes', '{"token":"s3cr3t\\/+\\"x"}', '{"token":"***"}'],
    ['percent-encoded', `?t=${encodeURIComponent('s3cr3t/+"x')}`, '?t=***'],
    ['in a form', new URLSearchParams({ t: 's3cr3t/+"x' }).toString(), 't=***'],
    ['several times', 's3cr3t/+"x s3cr3t/+"x', '*** ***'],
  ])('masks a secret %s', (_, text, masked) => {
    expect(createMask(['s3cr3t/+"x']).apply(text, true)).toBe(masked);
  });

  it.each([
    "bad token a\\u003cb\\u0026c\\u003e/d='e",
    "bad token a\\u003Cb\\u0026c\\u003E/d='e",
    'bad token a\\u003cb\\u0026c\\u003e/d\\u003d\\u0027e',
    'bad token a\\u003Cb\\u0026c\\u003E/d\\u003D\\u0027e',
    "bad token a%3cb%26c%3e%2fd%3d'e",
    "bad token a%3Cb%26c%3E%2Fd%3D'e",
    "bad token a&lt;b&amp;c&gt;/d='e",
    'bad token a&lt;b&amp;c&gt;/d=&#39;e',
  ])('masks a secret in %s', (text) => {
    expect(createMask(["a<b&c>/d='e"]).apply(text, true)).toBe('bad token ***');
  });

  it.each([
    ['.NET', 'a+b`c/é', 'a\\u002Bb\\u0060c/\\u00E9'],
    ['PHP', 'a/é', 'a\\/\\u00e9'],
    ['Go’s HTML', 'a"b<c', 'a&#34;b&lt;c'],
  ])('masks a secret as %s writes it', (_, secret, text) => {
    expect(createMask([secret]).apply(text, true)).toBe('***');
  });

  it('masks the longer of two secrets where one holds the other', () => {
    expect(createMask(['abc', 'abcdef']).apply('abcdef abc', true)).toBe('*** ***');
  });

  it('leaves no beginning of a secret where the text was cut', () => {
    expect(createMask(['abcdef']).apply('x abcdef y abcde', false)).not.toContain('abcde');
  });

  it('leaves an answer readable whose words hold a secret of one or two letters', () => {
    const text = '{"results":[{"status":"succeeded"}]}';
    expect(createMask(['s']).apply(text, true)).toBe(text);
  });

  it('tells a long secret from what may be one by chance', () => {
    const mask = createMask(['1234', 'a-token-of-sixteen-or-more']);
    expect(mask.isTold('51234001')).toBe(false);
    expect(mask.isTold('id-a-token-of-sixteen-or-more')).toBe(true);
  });

  it('leaves everything else', () => {
    expect(createMask([]).apply('nothing here', false)).toBe('nothing here');
    expect(createMask(['']).apply('nothing here', true)).toBe('nothing here');
  });
});
