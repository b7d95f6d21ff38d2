/**
 * Which providers an operation goes to. All routes that match count, in their order; what they name is joined. An update rarely holds the
 * fields that filters ask for, and a delete holds none, so the providers that were ever chosen for a record are remembered (remembered.ts)
 * and join in. A delete or a read of a record that nobody remembers goes wherever routes could have sent it.
 */
import { anyEntity, type Route } from './route.ts';
import { createFacts, type RuleFacts, type RuleSubject } from './rule-facts.ts';

export type JsonObject = Readonly<Record<string, unknown>>;

export type RouteVerdict =
  | { readonly status: 'matched' }
  | { readonly status: 'passed_over'; readonly because: 'disabled' | 'other_entity' | 'other_tenant' }
  /** `detail`: why the filter could not be evaluated. */
  | { readonly status: 'passed_over'; readonly because: 'filter'; readonly detail?: string };

const matched: RouteVerdict = { status: 'matched' };

/** A change's data decides; a delete or a read has none, and filters are not asked. */
export function asksFilters({ kind }: Pick<RuleSubject, 'kind'>): boolean {
  return kind !== 'delete' && kind !== 'read';
}

export interface Judge {
  judge(route: Route): RouteVerdict;
  /** Names of what filters do not look at; see rule-facts.ts. */
  unseen(): readonly string[];
}

/** For one operation. What filters see of it is made once, and only where a filter asks. */
export function createJudge(subject: RuleSubject, data: JsonObject | undefined): Judge {
  let made: RuleFacts | undefined;
  const facts = () => {
    made ??= createFacts(subject, data);
    return made;
  };
  return {
    judge(route) {
      if (!route.enabled) return { status: 'passed_over', because: 'disabled' };
      if (route.entity !== anyEntity && route.entity !== subject.entity) return { status: 'passed_over', because: 'other_entity' };
      if (route.tenant !== undefined && route.tenant !== subject.tenant) return { status: 'passed_over', because: 'other_tenant' };
      if (!route.rule || !asksFilters(subject)) return matched;
      const verdict = route.rule.evaluate(facts());
      if (verdict.status === 'true') return matched;
      if (verdict.status === 'false') return { status: 'passed_over', because: 'filter' };
      return { status: 'passed_over', because: 'filter', detail: verdict.reason };
    },
    unseen: () => facts().unseen,
  };
}

/** Providers of all matching routes, in order, each once. */
export function matchProviders(routes: readonly Route[], subject: RuleSubject, data: JsonObject | undefined): string[] {
  const { judge } = createJudge(subject, data);
  return joinProviders(routes.filter((route) => judge(route).status === 'matched').map(({ providers }) => providers));
}

/** What a change's routes say and what is remembered; for a delete or a read the one where there is something, else the other. */
export function addRemembered(matched: readonly string[], remembered: readonly string[], subject: Pick<RuleSubject, 'kind'>): string[] {
  if (asksFilters(subject)) return joinProviders([matched, remembered]);
  return [...(remembered.length > 0 ? remembered : matched)];
}

/** In order, each once. */
export function joinProviders(lists: readonly (readonly string[])[]): string[] {
  return [...new Set(lists.flat())];
}
