/**
 * Creates at a CRM that carries out one call in twenty and then cuts its connection, so that nobody can know. Every operation must end, and no
 * contact may be there twice.
 */
import type { Crm, SimulatedCall, SimulatedContact } from '../programs/crm-simulators.ts';
import { createContact, emailOf, numbers } from './contacts.ts';
import { countBy, onCrmScene, type Status } from './scene.ts';

const workers = 2;
const dropRate = 0.05;

export interface LostAnswersVariant {
  readonly name: string;
  readonly crm: Crm;
  readonly creates: number;
  /** Fields of the provider's body. */
  readonly provider: Readonly<Record<string, unknown>>;
}

export interface LostAnswersResult {
  readonly variant: string;
  readonly creates: number;
  readonly calls: number;
  /** Calls that were carried out and not answered. */
  readonly cut: number;
  /** Operations that took more than one attempt. */
  readonly repeatedOperations: number;
  /** Creates and upserts that the provider was asked for beyond one an operation. */
  readonly repeatedCreates: number;
  readonly areFinal: boolean;
  readonly statuses: Readonly<Record<string, number>>;
  readonly errors: Readonly<Record<string, number>>;
  readonly records: number;
  /** Records beyond one an e-mail address. */
  readonly duplicates: number;
  /** Operations that ended without a link to the one record of theirs. */
  readonly wrongLinks: number;
  readonly seconds: number;
}

const settings: Readonly<Record<Crm, Readonly<Record<string, unknown>>>> = {
  salesforce: {},
  hubspot: { burst_requests: 1_000_000, daily_requests: null },
  outreach: { requests: 1_000_000_000, token_interval_ms: 0 },
};

export function measureLostAnswers({ name, crm, creates, provider }: LostAnswersVariant): Promise<LostAnswersResult> {
  return onCrmScene(workers, async ({ simulators, register, submit, finished, statuses }) => {
    await simulators.ask('set', { crm, settings: settings[crm] });
    await simulators.ask('fail', { crm, faults: { drop_rate: dropRate } });
    await simulators.ask('keepCalls', { crm, keep: 100_000 });
    await register(crm, provider);
    const startedAt = performance.now();
    const ids = await submit(crm, numbers(creates).map(createContact));
    const areFinal = await finished(crm);
    const seconds = (performance.now() - startedAt) / 1_000;
    const counts = await simulators.ask('counts', crm);
    const ends = await statuses(ids);
    const judged = judge(ends, await simulators.ask('contacts', crm), await simulators.ask('calls', crm));
    return { variant: name, provider, creates, calls: counts.calls, cut: counts.byStatus['cut'] ?? 0, areFinal, seconds, ...judged };
  });
}

function judge(ends: readonly Status[], contacts: readonly SimulatedContact[], calls: readonly SimulatedCall[]) {
  const idOf = new Map(contacts.map(({ email, id }) => [email, id]));
  const asked = calls.flatMap(({ operations }) => operations).filter((operation) => operation === 'create' || operation === 'upsert');
  return {
    repeatedOperations: ends.filter(({ attempts = 1 }) => attempts > 1).length,
    repeatedCreates: asked.length - ends.length,
    statuses: countBy(ends, ({ status }) => status),
    errors: countBy(
      ends.filter(({ error }) => error !== undefined),
      ({ error }) => String(error),
    ),
    records: contacts.length,
    duplicates: contacts.length - idOf.size,
    wrongLinks: ends.filter(({ providerRecordId }, number) => providerRecordId !== idOf.get(emailOf(number))).length,
  };
}
