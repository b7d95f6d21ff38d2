import { describe, expect, it } from 'vitest';
import { checkPayloadSchema, compilePayloadSchema } from './payload-schema.ts';

const refTo = (name: string) => ({ $ref: `#/definitions/${name}` });

describe('references of a payload schema', () => {
  it.each([
    ['to the whole', { allOf: [{ $ref: '#' }] }],
    ['to one another', { definitions: { a: { not: refTo('b') }, b: { anyOf: [{}, refTo('a')] } }, properties: { x: refTo('a') } }],
    ['behind a condition', { definitions: { a: { if: {}, else: refTo('a') } }, items: refTo('a') }],
    ['behind a dependency', { dependencies: { a: { $ref: '#' } } }],
  ])('are refused where they come back on the same value: %s', (_, schema) => {
    expect(checkPayloadSchema(schema)).toEqual([{ path: '', message: 'refers to itself on the same value' }]);
  });

  it('are refused where they multiply the work, also member by member', () => {
    for (const double of [(ref: object) => ({ allOf: [ref, ref] }), (ref: object) => ({ properties: { a: { allOf: [ref, ref] } } })]) {
      const definitions = Object.fromEntries(Array.from({ length: 30 }, (_, index) => [`d${index}`, double(refTo(`d${index + 1}`))]));
      const schema = { definitions: { ...definitions, d30: { type: 'object' } }, ...refTo('d0') };
      expect(checkPayloadSchema(schema)).toEqual([{ path: '', message: 'has more than 50000 parts, each reference written out' }]);
    }
  });

  it('may come back on a member, and be many', () => {
    const tree = { properties: { left: { $ref: '#' }, right: { $ref: '#' }, all: { items: { $ref: '#' } }, n: { type: 'number' } } };
    expect(checkPayloadSchema(tree)).toEqual([]);
    expect(compilePayloadSchema(tree).check({ left: { all: [{ n: 'x' }] } })).toEqual([
      { path: 'left.all.0.n', message: 'must be number' },
    ]);
    const fields = Object.fromEntries(Array.from({ length: 500 }, (_, index) => [`f${index}`, refTo('a/b')]));
    expect(checkPayloadSchema({ definitions: { a: { b: { type: ['string', 'null'], maxLength: 9 } } }, properties: fields })).toEqual([]);
  });
});
