/** Who may come in: the key, its scopes, its request limit. One function for both fronts, synchronous where there is no limit to ask for. */
import { type Problem, problem } from '../shared/domain/problem.ts';
import type { Authenticate, Caller, CredentialHeaders, Scope } from './api-keys.ts';
import type { TakeRequest } from './request-limit.ts';

export type Admission =
  | { readonly status: 'admitted'; readonly caller: Caller }
  | { readonly status: 'refused'; readonly problem: Problem };
export type Admit = (credentials: CredentialHeaders, scope: Scope) => Admission | Promise<Admission>;

export function createDoor(deps: { authenticate: Authenticate; takeRequest: TakeRequest | undefined }): Admit {
  const { authenticate, takeRequest } = deps;
  return (credentials, scope) => {
    const caller = authenticate(credentials);
    if (!caller) return { status: 'refused', problem: problem('unauthenticated') };
    if (!caller.scopes.has(scope)) return { status: 'refused', problem: problem('forbidden', { detail: `the scope ${scope} is needed` }) };
    return takeRequest ? withinLimit(caller, takeRequest) : { status: 'admitted', caller };
  };
}

async function withinLimit(caller: Caller, takeRequest: TakeRequest): Promise<Admission> {
  const refusal = await takeRequest(caller.id);
  return refusal ? { status: 'refused', problem: refusal } : { status: 'admitted', caller };
}
