import { expect, test } from 'vitest';
import { parseRoute } from './route.ts';
import { createRuleCompiler } from './rule.ts';

test('what is wrong with a field is said once', () => {
  const parse = (fields: object) => parseRoute({ name: 'a', providers: ['crm'], ...fields }, createRuleCompiler());
  for (const position of [-1, 1.5, 1e99, 'first'])
    expect(parse({ position })).toEqual({ status: 'invalid', errors: [{ path: 'position', message: expect.any(String) }] });
});
