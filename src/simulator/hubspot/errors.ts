/** HubSpot's refusals as it words them. */
import { randomUuid } from '../random-ids.ts';
import type { Reply, ToldFailure } from '../simulated-provider.ts';

export interface ErrorDetail {
  readonly message: string;
  readonly code?: string;
  readonly context?: Readonly<Record<string, readonly string[]>>;
}

export interface HubspotError {
  readonly status: number;
  readonly category: string;
  readonly message: string;
  readonly context?: Readonly<Record<string, readonly string[]>>;
  readonly errors?: readonly ErrorDetail[];
}

export const notFound: HubspotError = { status: 404, category: 'OBJECT_NOT_FOUND', message: 'resource not found' };

export function invalid(message: string, more: Pick<HubspotError, 'context' | 'errors'> = {}): HubspotError {
  return { status: 400, category: 'VALIDATION_ERROR', message, ...more };
}

export function toReply({ status, ...error }: HubspotError, random: () => number): Reply {
  return { status, body: { status: 'error', correlationId: randomUuid(random), ...error } };
}

/** The properties that a write names wrongly, as one refusal. */
export function badProperties(bad: readonly { readonly name: string; readonly code: string; readonly message: string }[]): HubspotError {
  const listed = bad.map(({ name, code, message }) => ({ isValid: false, message, error: code, name, localizedErrorMessage: message }));
  const errors = bad.map(({ name, code, message }) => ({ message, code, context: { propertyName: [name] } }));
  return invalid(`Property values were not valid: ${JSON.stringify(listed)}`, { errors });
}

const limitMessages: Readonly<Record<string, string>> = {
  TEN_SECONDLY_ROLLING: 'You have reached your ten_secondly_rolling limit.',
  DAILY: 'You have reached your daily limit.',
  SECONDLY: 'You have reached your secondly limit.',
};

export function rateLimited(policyName: string, random: () => number, retryAfterS?: number): Reply {
  const message = limitMessages[policyName] ?? `You have reached your ${policyName.toLowerCase()} limit.`;
  const group = policyName === 'TEN_SECONDLY_ROLLING' ? { groupName: 'publicapi:private_app-api-calls-ten-secondly:54321' } : {};
  const body = { status: 'error', message, errorType: 'RATE_LIMIT', correlationId: randomUuid(random), policyName, ...group };
  return { status: 429, body, ...(retryAfterS !== undefined && { headers: { 'retry-after': String(retryAfterS) } }) };
}

const toldErrors: Readonly<Record<number, { readonly category: string; readonly message: string }>> = {
  400: { category: 'VALIDATION_ERROR', message: 'Property values were not valid: []' },
  401: { category: 'INVALID_AUTHENTICATION', message: 'Authentication credentials not found.' },
  403: { category: 'MISSING_SCOPES', message: 'One or more of the following scopes are required.' },
  404: notFound,
  409: { category: 'CONFLICT', message: 'Contact already exists' },
  423: { category: 'LOCKED', message: 'The record is locked while a high-volume sync is in progress.' },
  477: { category: 'MIGRATION_IN_PROGRESS', message: 'The account is being moved to another data center.' },
  500: { category: 'INTERNAL_ERROR', message: 'internal error' },
  503: { category: 'SERVICE_UNAVAILABLE', message: 'Service is temporarily unavailable.' },
};

/** What a told failure says; `code` is its category. */
export function toldError({ status, code, message }: ToldFailure): HubspotError {
  const known = toldErrors[status] ?? { category: status < 500 ? 'VALIDATION_ERROR' : 'INTERNAL_ERROR', message: 'told to fail' };
  return { status, category: code ?? known.category, message: message ?? known.message };
}

/** The reply to a call that was told to fail. For 429 `code` is the policy; 502, 504 and 52x come from the gateway, as a page. */
export function toldReply(failure: ToldFailure, random: () => number): Reply {
  if (failure.status === 429) return rateLimited(failure.code ?? 'TEN_SECONDLY_ROLLING', random);
  const isGateway = failure.status === 502 || failure.status === 504 || (failure.status >= 520 && failure.status <= 529);
  if (!isGateway) return toReply(toldError(failure), random);
  const title = `${failure.status} ${failure.message ?? 'Bad gateway'}`;
  return {
    status: failure.status,
    text: `<html><head><title>${title}</title></head><body>${title}</body></html>`,
    contentType: 'text/html',
  };
}
