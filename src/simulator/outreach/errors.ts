/** Outreach's refusals: JSON:API errors as it words them. */
import type { Reply, ToldFailure } from '../simulated-provider.ts';

export const mediaType = 'application/vnd.api+json';

export interface OutreachError {
  readonly status: number;
  readonly id: string;
  readonly title: string;
  readonly detail: string;
  readonly pointer?: string;
}

export function toReply(...errors: readonly [OutreachError, ...OutreachError[]]): Reply {
  const listed = errors.map(({ status, id, title, detail, pointer }) => {
    // The one error whose text stands under another name.
    const text = status === 415 ? { details: detail } : { detail };
    return { id, ...(pointer !== undefined && { source: { pointer } }), title, ...text };
  });
  return { status: errors[0].status, body: { errors: listed }, contentType: mediaType };
}

export function validationError(detail: string, pointer = '/data'): OutreachError {
  return { status: 422, id: 'validationError', title: 'Validation Error', detail, pointer };
}

export function notFound(type: string, id: string): OutreachError {
  return { status: 404, id: 'resourceNotFound', title: 'Resource Not Found', detail: `Could not find '${type}' with ID '${id}'.` };
}

export const routeNotFound: OutreachError = {
  status: 404,
  id: 'routeNotFound',
  title: 'Route Not Found',
  detail: 'The request path does not match any known resource endpoints.',
};

export const unsupportedMediaType: OutreachError = {
  status: 415,
  id: 'unsupportedMediaType',
  title: 'Unsupported Media Type',
  detail: `The content type must be '${mediaType}'.`,
};

export function unauthorized(id: string, detail: string): OutreachError {
  return { status: 401, id, title: 'Unauthorized', detail };
}

export function rateLimited(requests: number, untilMs: number): OutreachError {
  const until = new Date(untilMs).toISOString().slice(0, 19);
  const detail = `You have exceeded your permitted rate limit of ${requests.toLocaleString('en-US')}; please try again at ${until}.`;
  return { status: 429, id: 'rateLimitExceeded', title: 'Rate Limit Exceeded', detail };
}

type Told = Omit<OutreachError, 'status'>;

const toldErrors: Readonly<Record<number, Told>> = {
  400: { id: 'malformedRequest', title: 'Malformed Request', detail: 'The request could not be read.' },
  401: { id: 'expiredAccessToken', title: 'Expired Access Token', detail: 'The access token expired.' },
  403: { id: 'unauthorizedRequest', title: 'Unauthorized Request', detail: 'You are not authorized to perform that request.' },
  404: { id: 'resourceNotFound', title: 'Resource Not Found', detail: 'Could not find the resource.' },
  415: unsupportedMediaType,
  422: { id: 'validationError', title: 'Validation Error', detail: 'The record is not valid.', pointer: '/data' },
  429: { id: 'rateLimitExceeded', title: 'Rate Limit Exceeded', detail: 'You have exceeded your permitted rate limit.' },
  503: { id: 'scheduledServerMaintenance', title: 'Scheduled Maintenance', detail: 'The server is down for scheduled maintenance.' },
};

/** The reply to a call that was told to fail; `code` is the error's id. 502 and 504 come from a gateway, as a page. */
export function toldReply({ status, code, message }: ToldFailure): Reply {
  if (status === 502 || status === 504) {
    return { status, text: `<html><body>${message ?? status}</body></html>`, contentType: 'text/html' };
  }
  const known = toldErrors[status] ?? { id: 'internalServerError', title: 'Internal Server Error', detail: 'told to fail' };
  return toReply({ ...known, status, ...(code !== undefined && { id: code }), ...(message !== undefined && { detail: message }) });
}
