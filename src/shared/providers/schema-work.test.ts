import { describe, expect, it } from 'vitest';
import { checkPayloadSchema } from './payload-schema.ts';

const refTo = (name: string) => ({ $ref: `#/definitions/${name}` });

describe('references of a payload schema', () => {
  it.each([
    ['to the whole', { allOf: [{ $ref: '#' }] }],
    ['to one another', { definitions: { a: { not: refTo('b') }, b: { anyOf: [{}, refTo('a')] } }, properties: { x: refTo('a') } }],
    ['behind a condition', { definitions: { a: { if: {}, else: refTo('a') } }, items: refTo('a') }],
    ['behind a dependency', { dependencies: { a: { $ref: '#' } } }],
    // Two of them at each level double the work with each.
    ['on a member', { properties: { left: { $ref: '#' }, n: { type: 'number' } } }],
    ['on the items of a list', { items: { $ref: '#' } }],
  ])('are refused where they come back: %s', (_, schema) => {
    expect(checkPayloadSchema(schema)).toEqual([{ path: '', message: 'refers to itself' }]);
  });

  it('are refused where they multiply the work, also member by member', () => {
    for (const double of [(ref: object) => ({ allOf: [ref, ref] }), (ref: object) => ({ properties: { a: { allOf: [ref, ref] } } })]) {
      const definitions = Object.fromEntries(Array.from({ length: 30 }, (_, index) => [`d${index}`, double(refTo(`d${index + 1}`))]));
      const schema = { definitions: { ...definitions, d30: { type: 'object' } }, ...refTo('d0') };
      expect(checkPayloadSchema(schema)).toEqual([{ path: '', message: 'has more than 50000 parts, each reference written out' }]);
    }
  });

  it.each([
    ['$id', { definitions: { x: { $id: '#a', allOf: [{ $ref: '#/definitions/x' }] } } }, 'definitions.x.$id'],
    ['$anchor', { properties: { a: { $anchor: 'a' } } }, 'properties.a.$anchor'],
    ['a reference to a name', { allOf: [{ $ref: '#a' }] }, 'allOf.0.$ref'],
  ])('lead to places alone: %s is refused', (_, schema, path) => {
    expect(checkPayloadSchema(schema)).toContainEqual({ path, message: expect.any(String) });
  });

  it('are none where a field or a value is so called', () => {
    for (const schema of [
      { properties: { $ref: { type: 'string' }, $id: { const: '#' }, not: { $ref: '#/properties/$ref' } } },
      { enum: [{ $ref: '#' }, { pattern: '(', $id: 'x' }], default: { $ref: '#' } },
    ])
      expect(checkPayloadSchema(schema)).toEqual([]);
  });

  it('may be many', () => {
    const fields = Object.fromEntries(Array.from({ length: 500 }, (_, index) => [`f${index}`, refTo('a/b')]));
    expect(checkPayloadSchema({ definitions: { a: { b: { type: ['string', 'null'], maxLength: 9 } } }, properties: fields })).toEqual([]);
  });
});
