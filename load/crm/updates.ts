/**
 * Updates of known contacts, 1 % of them bad, with a CRM's batch calls and without. They are all queued before the first is sent, as after an
 * import. Half of the bad ones have an e-mail address that the adapter refuses; the others the provider refuses, each by itself.
 */
import type { Crm, SimulatedContact } from '../programs/crm-simulators.ts';
import { changeContact, changedName, createContact, createdName, emailOf, numbers } from './contacts.ts';
import { type CrmScene, countBy, onCrmScene, type Status } from './scene.ts';

const workers = 2;
/** More than there are calls, bodies are kept with them: of jobs, and of one call an update. */
const keptCalls = 50_000;

export interface UpdateVariant {
  readonly name: string;
  readonly crm: Crm;
  readonly updates: number;
  /** Fields of the provider's body. */
  readonly provider: Readonly<Record<string, unknown>>;
}

export interface UpdatesResult {
  readonly variant: string;
  readonly updates: number;
  readonly bad: number;
  /** With those for tokens and, for jobs, those that look at them. */
  readonly calls: number;
  readonly byStatus: Readonly<Record<string, number>>;
  /** Bulk jobs among them. */
  readonly jobs: number;
  readonly seconds: number;
  readonly operationsPerSecond: number;
  readonly areFinal: boolean;
  readonly statuses: Readonly<Record<string, number>>;
  readonly errors: Readonly<Record<string, number>>;
  /** Operations that ended otherwise than foretold. */
  readonly wrongStatuses: number;
  readonly wrongRecords: number;
}

type Fate = 'good' | 'refused here' | 'refused there';

function fateOf(number: number): Fate {
  if (number % 200 === 50) return 'refused here';
  return number % 200 === 150 ? 'refused there' : 'good';
}

const unlimited: Readonly<Record<Crm, Readonly<Record<string, unknown>>>> = {
  salesforce: { daily_max: 1_000_000_000 },
  hubspot: { burst_requests: 1_000_000, daily_requests: null },
  outreach: { requests: 1_000_000_000 },
};

export function measureUpdates(variant: UpdateVariant): Promise<UpdatesResult> {
  const { name, crm, updates, provider } = variant;
  return onCrmScene(workers, async (scene) => {
    const { simulators, submit } = scene;
    await simulators.ask('set', { crm, settings: unlimited[crm] });
    await makeContacts(scene, variant);
    const contacts = await simulators.ask('contacts', crm);
    if (contacts.length !== updates) throw new Error(`${contacts.length} contacts were made of ${updates}`);
    await refuseThere(scene, crm, contacts);
    await scene.pause(crm);
    const ids = await submit(
      crm,
      numbers(updates).map((number) => changeContact(number, fateOf(number) === 'refused here')),
    );
    await simulators.ask('keepCalls', { crm, keep: keptCalls });
    const startedAt = performance.now();
    await scene.resume(crm);
    const areFinal = await scene.finished(crm);
    const seconds = (performance.now() - startedAt) / 1_000;
    const counts = await simulators.ask('counts', crm);
    const calls = await simulators.ask('calls', crm);
    const statuses = await scene.statuses(ids);
    return {
      variant: name,
      provider,
      updates,
      bad: numbers(updates).filter((number) => fateOf(number) !== 'good').length,
      ...counts,
      jobs: calls.filter(({ isJob }) => isJob).length,
      seconds,
      operationsPerSecond: updates / seconds,
      areFinal,
      ...judge(statuses, await simulators.ask('contacts', crm)),
    };
  });
}

/** Through Sluice, which learns the links that way. */
async function makeContacts(scene: CrmScene, { crm, updates, provider }: UpdateVariant): Promise<void> {
  await scene.register(crm, provider);
  await scene.submit(crm, numbers(updates).map(createContact));
  if (!(await scene.finished(crm))) throw new Error('the contacts were not made in time');
}

async function refuseThere({ simulators }: CrmScene, crm: Crm, contacts: readonly SimulatedContact[]): Promise<void> {
  const idOf = new Map(contacts.map(({ email, id }) => [email, id]));
  const refused = numbers(contacts.length).filter((number) => fateOf(number) === 'refused there');
  const recordIds = refused.map((number) => idOf.get(emailOf(number)));
  await simulators.ask('fail', { crm, faults: { record_ids: recordIds, error_rate: 1, status: 400 } });
}

function judge(statuses: readonly Status[], contacts: readonly SimulatedContact[]) {
  const nameOf = new Map(contacts.map(({ email, firstName }) => [email, firstName]));
  const all = numbers(statuses.length);
  const isGood = (number: number) => fateOf(number) === 'good';
  return {
    statuses: countBy(statuses, ({ status }) => status),
    errors: countBy(
      statuses.filter(({ error }) => error !== undefined),
      ({ error }) => String(error),
    ),
    wrongStatuses: all.filter((number) => statuses[number]?.status !== (isGood(number) ? 'succeeded' : 'dead_lettered')).length,
    wrongRecords:
      Math.abs(contacts.length - statuses.length) +
      all.filter((number) => nameOf.get(emailOf(number)) !== (isGood(number) ? changedName(number) : createdName)).length,
  };
}
