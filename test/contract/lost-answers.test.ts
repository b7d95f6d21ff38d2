/**
 * Creates at the simulated CRMs, while calls are carried out whose answers nobody gets: the connection is cut, or a gateway answers in the CRM's
 * place, with or without a time to wait. Whatever happens there is one record for each create, and nobody else's is touched.
 */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createHubspotProvider } from '../../src/simulator/hubspot/hubspot-provider.ts';
import { createOutreachProvider } from '../../src/simulator/outreach/outreach-provider.ts';
import type { Dialect } from '../../src/worker/providers/exchange.ts';
import { createHubspotDialect } from '../../src/worker/providers/hubspot/dialect.ts';
import { createOutreachDialect } from '../../src/worker/providers/outreach/dialect.ts';
import type { CallOutcome } from '../../src/worker/providers/provider.ts';
import { createSalesforceDialect } from '../../src/worker/providers/salesforce/dialect.ts';
import { deliverCalls } from '../support/deliver-calls.ts';
import { acceptedAtMs, dialectCall, dialectConfig } from '../support/dialect-calls.ts';
import { startCrm } from '../support/simulated-crm.ts';
import { type Asking, askSimulator } from '../support/simulated-exchange.ts';
import { startOrg } from '../support/simulated-org.ts';

type Fields = Readonly<Record<string, unknown>>;

/** `ask` sends a request; `fault` replaces the faults; `clock` is the simulator's. */
interface Crm {
  readonly ask: Asking;
  readonly clock: { nowMs: number };
  readonly provider: { records(entity: string | undefined): Readonly<Record<string, unknown>> };
  set(settings: Fields): void;
  fault(faults: Fields): void;
}

async function openSalesforce(): Promise<Crm> {
  const org = startOrg();
  await org.logIn();
  return { ...org, ask: org.end };
}

const opening =
  (...[create, options]: Parameters<typeof startCrm>) =>
  async (): Promise<Crm> => {
    const crm = startCrm(create, options);
    return { ...crm, ask: (target, { method, text, headers }) => crm.end(method, target, text === '' ? undefined : text, headers) };
  };

interface Variant {
  readonly name: string;
  readonly open: () => Promise<Crm>;
  readonly dialect: (options: Fields) => Dialect;
  readonly options: Fields;
  /** Options with which nothing of ours is kept in a record. */
  readonly plain: Fields;
  readonly settings?: Fields;
  /** What a gateway answers. 503 says that nothing was done: where records found are only reported, one that lies ends as such a report. */
  readonly statuses: readonly number[];
  /** Two records may have one e-mail. */
  readonly allowsSameEmail?: boolean;
}

const salesforce = { open: openSalesforce, plain: {}, dialect: (options: Fields) => createSalesforceDialect(dialectConfig({ options })) };
const hubspot = {
  plain: {},
  open: opening(createHubspotProvider, { token: 'pat-1', contentType: 'application/json' }),
  dialect: (options: Fields) => createHubspotDialect(dialectConfig({ options })),
};
const outreach = {
  plain: { external_id: false },
  open: opening(createOutreachProvider, { token: 'static-1', contentType: 'application/vnd.api+json' }),
  dialect: (options: Fields) => createOutreachDialect(dialectConfig({ options })),
};
const any = [502, 503, 504];
const telling = [502, 504];
const report = { on_duplicate: 'report' };

const variants: readonly Variant[] = [
  { name: 'salesforce', ...salesforce, options: {}, statuses: any, allowsSameEmail: true },
  { name: 'salesforce with a duplicate rule', ...salesforce, options: {}, settings: { duplicate_rule: 'block' }, statuses: any },
  { name: 'salesforce by external id', ...salesforce, options: { external_id_field: 'ExtId__c' }, statuses: any, allowsSameEmail: true },
  { name: 'hubspot', ...hubspot, options: {}, statuses: any },
  { name: 'hubspot by record id', ...hubspot, options: { record_id_property: 'sluice_record_id' }, statuses: any },
  { name: 'hubspot that reports', ...hubspot, options: report, statuses: telling },
  { name: 'outreach', ...outreach, options: {}, statuses: any },
  { name: 'outreach that reports', ...outreach, options: report, statuses: any },
  { name: 'outreach that reports, without our id', ...outreach, options: { ...report, external_id: false }, statuses: telling },
];

/** One for each request, in turn; none after the last. */
const faultsOf = ({ statuses }: Variant) =>
  fc.array(
    fc.oneof(
      { weight: 3, arbitrary: fc.constant<Fields>({}) },
      { weight: 1, arbitrary: fc.constantFrom<Fields>({ drop_rate: 1 }, { hang: true }, { error_rate: 1, status: 503 }) },
      {
        weight: 3,
        arbitrary: fc
          .tuple(fc.constantFrom(...statuses), fc.boolean())
          .map(([status, isPaused]): Fields => ({ applied_error_rate: 1, status, ...(isPaused ? { retry_after: 2 } : {}) })),
      },
    ),
    { minLength: 1, maxLength: 10 },
  );

const person = (n: number) => ({ first_name: `First${n}`, last_name: `Last${n}`, email: `person${n}@example.com` });
const creates = (count: number) => Array.from({ length: count }, (_, i) => dialectCall({ data: person(i + 1) }, i + 1));
const idOf = (outcome: CallOutcome | undefined) => (outcome?.status === 'accepted' ? outcome.providerRecordId : undefined);

/** A CRM in which the operations' time has come, and a way to make calls of it that the plan's faults strike. */
async function start({ open, settings = {} }: Variant) {
  const crm = await open();
  crm.set(settings);
  crm.clock.nowMs = acceptedAtMs + 1_000;
  const answer = (plan: readonly Fields[]) => {
    let turn = 0;
    const ask = askSimulator(crm.ask);
    return (request: Parameters<typeof ask>[0]) => {
      crm.fault(plan[turn++] ?? {});
      return ask(request);
    };
  };
  const having = (email: string) =>
    Object.entries(crm.provider.records(undefined)).filter(([, record]) => JSON.stringify(record).includes(`"${email}"`));
  return { crm, answer, having };
}

describe.each(variants)('$name', (variant) => {
  const dialect = () => variant.dialect(variant.options);

  test('makes one record for each create, alone and in batches, and finds it again', async () => {
    await fc.assert(
      fc.asyncProperty(faultsOf(variant), fc.integer({ min: 1, max: 4 }), async (plan, count) => {
        const { crm, answer, having } = await start(variant);
        const finals = await deliverCalls(dialect(), creates(count), answer(plan));
        expect(Object.keys(crm.provider.records(undefined))).toHaveLength(count);
        for (let n = 1; n <= count; n++) {
          const [key = ''] = having(person(n).email)[0] ?? [];
          expect(idOf(finals.get(`r${n}`)), JSON.stringify(finals.get(`r${n}`))).toBe(key.split('/')[1]);
        }
      }),
      { numRuns: 60 },
    );
  });

  test('makes no second record where even a 503 was carried out', async () => {
    const { crm, answer } = await start(variant);
    const finals = await deliverCalls(dialect(), creates(2), answer([{ applied_error_rate: 1, status: 503 }]));
    expect(finals.size).toBe(2);
    expect(Object.keys(crm.provider.records(undefined))).toHaveLength(2);
  });
});

describe.each(variants.filter(({ options, name }) => options['on_duplicate'] === 'report' || name.startsWith('salesforce')))(
  '$name',
  (variant) => {
    test('leaves alone who had the e-mail before, though the create is in doubt', async () => {
      const { crm, answer, having } = await start(variant);
      crm.clock.nowMs = acceptedAtMs - 3_600_000;
      const theirs = dialectCall({ recordId: 'theirs', data: { ...person(1), first_name: 'Foreign', title: 'Director' } }, 9);
      await deliverCalls(variant.dialect(variant.plain), [theirs], answer([]));
      crm.clock.nowMs = acceptedAtMs + 1_000;
      const [before] = having('person1@example.com');
      expect(before).toBeDefined();

      const finals = await deliverCalls(
        variant.dialect(variant.options),
        creates(1).map((call) => ({ ...call, isInDoubt: true })),
        answer([]),
      );
      const after = having('person1@example.com');
      expect(after).toContainEqual(before);
      expect(after).toHaveLength(variant.allowsSameEmail ? 2 : 1);
      if (!variant.allowsSameEmail) expect(finals.get('r1')).toMatchObject({ error: { kind: 'conflict', code: 'duplicate_record' } });
    });
  },
);
