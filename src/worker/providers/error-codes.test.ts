import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { decide } from '../../shared/domain/settlement.ts';
import { providerErrorCodes } from './error-codes.ts';

describe('docs/provider-errors.md', () => {
  const page = readFileSync(new URL('../../../docs/provider-errors.md', import.meta.url), 'utf8');
  const [ofProviders = '', ofSluice = ''] = page.split('## Of Sluice itself');
  const rowsOf = (text: string) =>
    [...text.matchAll(/^\| `(\w+)` \| (\S.*?) \| (yes|free|no) \| (\S.*?) \|$/gm)].map(([, code, meaning, retried]) => ({
      code: code as string,
      meaning,
      retried,
    }));

  it('has a whole row for every code with its meaning, and no other', () => {
    const rows = rowsOf(ofProviders);
    expect(rows).toHaveLength(ofProviders.split('\n').filter((line) => line.startsWith('| `')).length);
    const described = rows.map(({ code, meaning }) => `${code}: ${meaning}`);
    expect(described.sort()).toEqual(
      Object.entries(providerErrorCodes)
        .map(([code, meaning]) => `${code}: ${meaning}`)
        .sort(),
    );
  });

  it('has the codes that no adapter gives', () => {
    expect(rowsOf(ofSluice).map(({ code }) => code)).toEqual(['worker_lost', 'internal_fault', 'provider_removed']);
  });

  it('calls those free that are no attempt of the operation’s', () => {
    const limits = { maxAttempts: 2, baseMs: 1, maxMs: 1, maxAgeMs: 1_000 };
    const isFree = (code: string) => {
      const error = { kind: 'transient', code, message: '' } as const;
      const decision = decide({ error, attempts: 1, ageMs: 0, isFolded: false }, limits, () => 0);
      return decision.next === 'retry' && !decision.isCharged;
    };
    const free = rowsOf(ofProviders).flatMap(({ code, retried }) => (retried === 'free' ? [code] : []));
    // A call that we cut never comes to a decision.
    const decided = Object.keys(providerErrorCodes).filter(isFree);
    expect(free.sort()).toEqual(['aborted', ...decided].sort());
  });
});
