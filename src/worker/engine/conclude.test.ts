import { describe, expect, test } from 'vitest';
import { anOperation, appliedAt } from '../../../test/support/lanes.ts';
import type { ProviderError } from '../../shared/domain/provider-error.ts';
import { type Circumstances, concludeAccepted, concludeFailed, finish, giveUp } from './conclude.ts';
import type { Held } from './lane.ts';

const circumstances = (part: Partial<Circumstances> = {}): Circumstances => ({
  mode: 'record',
  retry: { maxAttempts: 3, baseMs: 100, maxMs: 1_000, maxAgeMs: 60_000 },
  nowMs: 2_000,
  wasCalled: true,
  random: () => 1,
  ...part,
});
const group = (members: readonly Held[], applied = undefined as ReturnType<typeof appliedAt> | undefined) => ({
  digest: 'd',
  members,
  applied,
});
const error = (kind: ProviderError['kind'], part: Partial<ProviderError> = {}): ProviderError => ({
  kind,
  code: kind,
  message: `it said ${kind}`,
  ...part,
});

describe('accepted', () => {
  test('the last of a group succeeded, the others were carried by it', () => {
    const { finals, retries, staying } = concludeAccepted(
      group([anOperation(1), anOperation(2), anOperation(3)]),
      { status: 'accepted' },
      circumstances(),
    );
    expect(finals.map(({ outcome }) => [outcome.status, outcome.carriedBy, outcome.attempts])).toEqual([
      ['coalesced', '1003-3', 1],
      ['coalesced', '1003-3', 1],
      ['succeeded', undefined, 1],
    ]);
    expect([...retries, ...staying]).toEqual([]);
  });

  test('the record is written once, as of the newest change, with the provider’s id', () => {
    const { finals, applied } = concludeAccepted(
      group([anOperation(1), anOperation(2)]),
      { status: 'accepted', providerRecordId: 'p1' },
      circumstances(),
    );
    expect(finals.map(({ record }) => record?.state.stamp.rank)).toEqual([undefined, 2]);
    expect(applied).toMatchObject({ stamp: { ms: 1_002, rank: 2 }, isDeleted: false, providerRecordId: 'p1' });
    expect(finals[1]?.outcome.providerRecordId).toBe('p1');
  });

  test('an id known from before stays, and is told', () => {
    const { finals, applied } = concludeAccepted(
      group([anOperation(1)], appliedAt(1, 0, { providerRecordId: 'p0' })),
      { status: 'accepted' },
      circumstances(),
    );
    expect(applied?.providerRecordId).toBe('p0');
    expect(finals[0]?.outcome.providerRecordId).toBe('p0');
  });

  test('a read changes nothing, and keeps its result', () => {
    const before = appliedAt(5);
    const { finals, applied } = concludeAccepted(
      group([anOperation(1, { kind: 'read' })], before),
      { status: 'accepted', result: { x: 1 } },
      circumstances(),
    );
    expect(applied).toBe(before);
    expect(finals[0]).toMatchObject({ record: undefined, outcome: { status: 'succeeded', result: { x: 1 } } });
  });

  test('in field mode every field of a group gets the stamp of its own change', () => {
    const { applied } = concludeAccepted(
      group([anOperation(1, { dataJson: '{"x":1,"y":1}' }), anOperation(2, { dataJson: '{"y":2}' })]),
      { status: 'accepted' },
      circumstances({ mode: 'field' }),
    );
    expect(applied?.fields?.get('x')?.rank).toBe(1);
    expect(applied?.fields?.get('y')?.rank).toBe(2);
  });
});

describe('failed in a way that may pass', () => {
  test('all of the group stay, are charged, and wait for the longest of their delays together', () => {
    const members = [anOperation(1, { attempts: 1 }), anOperation(2)];
    const { finals, retries, staying, delayMs, sealedTo } = concludeFailed(group(members), error('transient'), circumstances());
    expect(finals).toEqual([]);
    expect(staying).toEqual(members);
    expect(members.map(({ attempts }) => attempts)).toEqual([2, 1]);
    expect(delayMs).toBe(200);
    expect(retries.map(({ trial }) => [trial.attempts, trial.dueAtMs, trial.startedIn])).toEqual([
      [2, 2_200, 0],
      [1, 2_200, 0],
    ]);
    expect(sealedTo).toBe(0);
  });

  test('waits as long as the provider asked for', () => {
    expect(concludeFailed(group([anOperation(1)]), error('rate_limited', { retryAfterMs: 30_000 }), circumstances()).delayMs).toBe(30_000);
  });

  test('a create in company is repeated as the very same call, in this process and after it', () => {
    const { retries, sealedTo } = concludeFailed(
      group([anOperation(1, { kind: 'create' }), anOperation(2)]),
      error('ambiguous'),
      circumstances(),
    );
    expect(sealedTo).toBe(2);
    expect(retries.map(({ trial }) => trial.sealedTo)).toEqual([2, 2]);
  });

  test('who has no attempt left is given up, the others go on', () => {
    const { finals, staying, sealedTo } = concludeFailed(
      group([anOperation(1, { kind: 'create', attempts: 2 }), anOperation(2)]),
      error('transient'),
      circumstances(),
    );
    expect(finals.map(({ entry, outcome }) => [entry.rank, outcome.status, outcome.attempts, outcome.error?.retryable])).toEqual([
      [1, 'dead_lettered', 3, true],
    ]);
    expect(staying.map(({ rank }) => rank)).toEqual([2]);
    expect(sealedTo).toBe(0);
  });

  test('who is too old is given up, whatever attempts it has left', () => {
    const { finals } = concludeFailed(group([anOperation(1)]), error('transient'), circumstances({ nowMs: 1_001 + 60_000 }));
    expect(finals[0]?.outcome.status).toBe('dead_lettered');
  });

  test('expired credentials charge nobody', () => {
    const member = anOperation(1, { attempts: 2 });
    const { retries } = concludeFailed(group([member]), error('auth', { code: 'token_expired' }), circumstances());
    expect(member.attempts).toBe(2);
    expect(retries).toHaveLength(1);
  });

  test('its mark is used up: a suspect is written down again before its next call', () => {
    const member = anOperation(1, { isSuspect: true, isMarked: true, hasCrashed: true });
    concludeFailed(group([member]), error('transient'), circumstances());
    expect(member).toMatchObject({ isMarked: false, hasCrashed: false, hasTrial: true });
  });
});

describe('refused for good', () => {
  test('a group is taken apart, and nobody is charged or written', () => {
    const members = [anOperation(1), anOperation(2)];
    const { finals, retries, staying, unfoldTo } = concludeFailed(group(members), error('invalid'), circumstances());
    expect([...finals, ...retries]).toEqual([]);
    expect(staying).toEqual(members);
    expect(unfoldTo).toBe(2);
    expect(members.map(({ attempts }) => attempts)).toEqual([0, 0]);
  });

  test.each([{ attempts: 1 }, { isSuspect: true }, { isInDoubt: true }])(
    'a group whose beginning may have been carried out is tried without its last: %o',
    (doubt) => {
      const members = [anOperation(1, doubt), anOperation(2), anOperation(3)];
      const { finals, staying, unfoldTo, foldTo } = concludeFailed(group(members), error('invalid'), circumstances());
      expect([finals, staying, unfoldTo, foldTo]).toEqual([[], members, 0, 2]);
    },
  );

  test('a single operation becomes a dead letter with all that a person needs', () => {
    const header = '["u","a",1001,"deal","crm"]';
    const member = anOperation(1, { header, dataJson: '{"x":1}', attempts: 1 });
    const refusal = error('invalid', { providerStatus: 422, answer: 'no such field' });
    const [final] = concludeFailed(group([member]), refusal, circumstances()).finals;
    expect(final?.outcome).toMatchObject({
      status: 'dead_lettered',
      attempts: 2,
      error: { code: 'invalid', retryable: false, providerStatus: 422 },
    });
    expect(final?.outcome.error).not.toHaveProperty('answer');
    expect(final?.deadLetter).toMatchObject({ header, data: '{"x":1}', digest: 'd', attempts: 2 });
    expect(JSON.parse(final?.deadLetter?.errorJson ?? '')).toEqual(refusal);
  });

  test('what the adapter would not even send costs no attempt', () => {
    const [final] = concludeFailed(group([anOperation(1)]), error('invalid'), circumstances({ wasCalled: false })).finals;
    expect(final?.outcome.attempts).toBe(0);
  });
});

describe('a dead letter says whether an attempt may have been carried out', () => {
  const plain = '["c","a",1001]';
  const inDoubt = '["c","a",1001,"","",1]';
  const headerOf = (part: Partial<Held>, refusal: ProviderError) =>
    giveUp(anOperation(1, { header: plain, ...part }), 'd', refusal, 2_000).deadLetter?.header;

  test('where it was in doubt, whatever the last refusal, unless that says otherwise', () => {
    expect(headerOf({ isInDoubt: true }, error('invalid', { code: 'create_in_doubt' }))).toBe(inDoubt);
    expect(headerOf({ isInDoubt: true }, error('transient'))).toBe(inDoubt);
    expect(headerOf({ isInDoubt: true }, error('invalid', { isInDoubt: false }))).toBe(plain);
  });

  test('where the last attempt left it in doubt', () => {
    expect(headerOf({}, error('ambiguous'))).toBe(inDoubt);
    expect(headerOf({}, error('transient', { isInDoubt: true }))).toBe(inDoubt);
    expect(headerOf({}, error('transient'))).toBe(plain);
  });

  test('of what was retried before, as it is now', () => {
    expect(headerOf({ header: inDoubt, isInDoubt: true }, error('invalid'))).toBe(inDoubt);
    expect(headerOf({ header: inDoubt }, error('invalid'))).toBe('["c","a",1001,"",""]');
  });
});

test('a status page gets at most 500 characters of what the provider said', () => {
  expect(giveUp(anOperation(1), 'd', error('invalid', { message: 'x'.repeat(2_000) }), 2_000).outcome.error?.message).toHaveLength(501);
});

test('nothing is finished before it was accepted, by whatever clock', () => {
  expect(finish(anOperation(1), 'stale', 3).outcome.completedAtMs).toBe(1_001);
  expect(finish(anOperation(1), 'stale', 5_000.7).outcome.completedAtMs).toBe(5_001);
});

test('a trial is forgotten with its operation', () => {
  expect(finish(anOperation(1, { hasTrial: true }), 'stale', 3).hadTrial).toBe(true);
  expect(finish(anOperation(1), 'stale', 3).hadTrial).toBe(false);
});
