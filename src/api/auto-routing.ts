/**
 * Operations addressed to `auto`: which providers each goes to, as submissions to the queue, one for each provider.
 *
 * An operation is refused as a whole, before anything of it is enqueued, where no route chooses, a route names a provider that is not
 * registered, or a provider's backlog is full. What remains: between this look at the backlogs and the queue's own, another process may
 * take the last place; then some children are queued and others not, and the answer (ingest.ts) is `backlog_full` and says so. A repetition
 * with the same idempotency key adds what is missing, and remembers what the first request may not have come to remember.
 *
 * Three steps for a request, however many operations: read what is known of the records and keys; choose, in the request's order, later
 * operations on a record knowing what earlier ones chose; write what is new. Records whose providers are known already write nothing.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { autoProvider, maxChildren } from '../shared/domain/parent-id.ts';
import { type Problem, problem } from '../shared/domain/problem.ts';
import type { BacklogGuard } from '../shared/queue/backlog-guard.ts';
import type { Submission } from '../shared/queue/submit.ts';
import { addRemembered, asksFilters, type JsonObject, joinProviders, matchProviders } from '../shared/routes/choose.ts';
import type { FirstUse, FirstUses } from '../shared/routes/first-use.ts';
import type { RouteDirectory } from '../shared/routes/follow.ts';
import type { RecordKey, Remembered } from '../shared/routes/remembered.ts';
import { fingerprintOperation } from './idempotency.ts';
import type { OperationInput } from './operation-input.ts';

export interface AutoOperation {
  readonly operation: OperationInput;
  readonly data: JsonObject | undefined;
  /** Scoped by its sender already. */
  readonly idempotencyKey: string | undefined;
}

export type Routed =
  | { readonly status: 'routed'; readonly submissions: readonly Submission[] }
  | { readonly status: 'refused'; readonly problem: Problem };

/** Answers in order; the submissions must be submitted at once. Throws Redis errors: nothing is enqueued then. */
export type RouteOperations = (operations: readonly AutoOperation[]) => Promise<readonly Routed[]>;

export interface AutoRoutingDeps {
  readonly routes: Pick<RouteDirectory, 'all'>;
  readonly remembered: Remembered;
  readonly firstUses: FirstUses;
  readonly providers: { has(name: string): boolean; lookUp(names: ReadonlySet<string>): Promise<void> };
  readonly guard: Pick<BacklogGuard, 'tryEnter' | 'enterAfterRefresh' | 'leave'>;
}

/** Filters are quick, but a request may hold a thousand operations: others get their turn after so many looks at a route. */
const looksBetweenTurns = 2_000;

/** One operation on its way through the steps. */
interface Item {
  readonly operation: OperationInput;
  readonly idempotencyKey: string | undefined;
  readonly fingerprint: string;
  readonly known: readonly string[];
  readonly first: FirstUse | undefined;
  readonly matched: readonly string[];
}

type Chosen =
  | { readonly status: 'chosen'; readonly recordId: string; readonly providers: readonly string[]; readonly news: readonly string[] }
  | { readonly status: 'refused'; readonly problem: Problem };

export function createAutoRouting(deps: AutoRoutingDeps): RouteOperations {
  return async (operations) => {
    const items = await match(deps, await recall(deps, operations));
    const unknown = new Set(items.flatMap(({ matched }) => matched).filter((name) => !deps.providers.has(name)));
    if (unknown.size > 0) await deps.providers.lookUp(unknown);

    const held: string[] = [];
    try {
      const choices = await chooseAll(deps, items, held);
      const claimed = await Promise.all(items.map((item, index) => claim(deps, item, choices[index] as Chosen)));
      await remember(deps, items, claimed);
      return items.map((item, index) => toRouted(item, claimed[index] as Chosen));
    } finally {
      // Places are held only so that the operations of one request count each other; the queue takes them anew, in this same turn.
      for (const provider of held) deps.guard.leave(provider, 1);
    }
  };
}

/** What is known of keys and records. */
async function recall({ remembered, firstUses }: AutoRoutingDeps, operations: readonly AutoOperation[]) {
  // Nothing can be known of a record whose id was made just now.
  const given = operations.filter(({ operation }) => !operation.isRecordIdGenerated);
  const [known, firsts] = await Promise.all([
    remembered.read(given.map(({ operation }) => operation.change)),
    Promise.all(operations.map(async ({ idempotencyKey: key }) => (key === undefined ? undefined : firstUses.read(key)))),
  ]);
  const knownOf = new Map(given.map((each, index) => [each, known[index] ?? []]));
  return operations.map((each, index) => ({ ...each, known: knownOf.get(each) ?? [], first: firsts[index] }));
}

async function match({ routes }: AutoRoutingDeps, recalled: Awaited<ReturnType<typeof recall>>): Promise<Item[]> {
  const all = routes.all();
  const items: Item[] = [];
  let looks = 0;
  for (const { operation, data, idempotencyKey, known, first } of recalled) {
    const matched = first ? [] : matchProviders(all, operation.change, data);
    const fingerprint = idempotencyKey === undefined ? '' : fingerprintOperation(operation);
    items.push({ operation, idempotencyKey, fingerprint, known, first, matched });
    looks += all.length;
    if (looks < looksBetweenTurns) continue;
    looks = 0;
    await nextTurn();
  }
  return items;
}

async function chooseAll(deps: AutoRoutingDeps, items: readonly Item[], held: string[]): Promise<Chosen[]> {
  const earlier = new Map<string, readonly string[]>();
  const choices: Chosen[] = [];
  for (const item of items) {
    const { change } = item.operation;
    const choice = await choose(deps, { ...item, known: joinProviders([item.known, earlier.get(recordName(change)) ?? []]) }, held);
    if (choice.status === 'chosen') {
      const name = recordName({ ...change, recordId: choice.recordId });
      earlier.set(name, joinProviders([earlier.get(name) ?? [], choice.news]));
    }
    choices.push(choice);
  }
  return choices;
}

async function choose(deps: AutoRoutingDeps, item: Item, held: string[]): Promise<Chosen> {
  const { change } = item.operation;
  if (item.first) return repeat(deps, item, item.first);
  // A provider that was removed since has nothing to be kept in step.
  const known = item.known.filter((name) => deps.providers.has(name));
  const providers = addRemembered(item.matched, known, change);
  const unknown = providers.find((name) => !deps.providers.has(name));
  if (unknown !== undefined) return refused(unregistered(unknown));
  if (providers.length === 0) return refused(noRoute(change.entity));
  if (providers.length > maxChildren) return refused(tooMany(providers.length));
  const full = await enterAll(deps, providers, held);
  if (full !== undefined)
    return refused(problem('backlog_full', { detail: `${full} has too many operations waiting; nothing was accepted` }));
  return chosen(item, change.recordId, providers);
}

/** The first answer again: however full the queues are, and whatever routes say by now. */
function repeat({ providers }: AutoRoutingDeps, item: Item, first: FirstUse): Chosen {
  if (first.fingerprint !== item.fingerprint) return refused(problem('idempotency_mismatch'));
  const removed = first.providers.find((name) => !providers.has(name));
  if (removed !== undefined) return refused(unregistered(removed));
  return chosen(item, first.recordId, first.providers);
}

/** What was only asked for or removed is no news: see asksFilters. */
function chosen({ operation, known }: Item, recordId: string, providers: readonly string[]): Chosen {
  const news = asksFilters(operation.change) ? providers.filter((name) => !known.includes(name)) : [];
  return { status: 'chosen', recordId, providers, news };
}

/** Takes a place at each provider; gives all back, and names the full one, where one has none. */
async function enterAll({ guard }: AutoRoutingDeps, providers: readonly string[], held: string[]): Promise<string | undefined> {
  const before = held.length;
  for (const provider of providers) {
    if (guard.tryEnter(provider) || (await guard.enterAfterRefresh(provider))) {
      held.push(provider);
      continue;
    }
    for (const entered of held.splice(before)) guard.leave(entered, 1);
    return provider;
  }
  return undefined;
}

/** What the key stands for from now on; where another request was first, what it stands for already. */
async function claim(deps: AutoRoutingDeps, item: Item, choice: Chosen): Promise<Chosen> {
  const { idempotencyKey, fingerprint } = item;
  if (idempotencyKey === undefined || item.first || choice.status === 'refused') return choice;
  const { recordId, providers } = choice;
  const mine: FirstUse = { fingerprint, recordId, providers };
  const first = await deps.firstUses.claim(idempotencyKey, mine);
  return first === mine ? choice : repeat(deps, item, first);
}

async function remember({ remembered }: AutoRoutingDeps, items: readonly Item[], choices: readonly Chosen[]): Promise<void> {
  const news = items.flatMap(({ operation }, index) => {
    const choice = choices[index] as Chosen;
    if (choice.status === 'refused' || choice.news.length === 0) return [];
    return [{ record: { ...operation.change, recordId: choice.recordId }, providers: choice.news }];
  });
  if (news.length > 0) await remembered.add(news);
}

function toRouted({ operation, idempotencyKey, fingerprint }: Item, choice: Chosen): Routed {
  if (choice.status === 'refused') return choice;
  const { recordId, providers } = choice;
  const submissions = providers.map((provider): Submission => {
    const change = { ...operation.change, provider, recordId };
    if (idempotencyKey === undefined) return { change };
    // A scoped key holds no dot, so a child's key is nobody else's.
    return { change, idempotency: { key: `${idempotencyKey}.${provider}`, fingerprint, isRecordIdGenerated: false } };
  });
  return { status: 'routed', submissions };
}

function recordName({ tenant, entity, recordId }: RecordKey): string {
  return JSON.stringify([tenant, entity, recordId]);
}

function refused(found: Problem): Chosen {
  return { status: 'refused', problem: found };
}

function noRoute(entity: string): Problem {
  return problem('no_route', { detail: `no route for ${entity} matches, and the record was never routed; POST /routes/try says why` });
}

function unregistered(name: string): Problem {
  return problem('unknown_provider', { detail: `a route names ${name}, which is not registered` });
}

function tooMany(count: number): Problem {
  const message = `${autoProvider} stands for ${count} providers here; at most ${maxChildren} are possible`;
  return problem('invalid', { errors: [{ path: 'provider', message }] });
}
