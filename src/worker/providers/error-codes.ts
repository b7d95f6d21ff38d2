/** Every code that adapters give to a failed call, with what it means. The documentation lists the same. */
export const providerErrorCodes = {
  // Answers of the provider
  rate_limited: 'The provider asked for fewer calls.',
  provider_error: 'The provider answered that it failed (5xx).',
  request_timeout: 'The provider waited too long for the request (408).',
  too_early: 'The provider does not want to take the call yet (425).',
  unauthorized: 'The provider refused our credentials (401).',
  forbidden: 'The provider does not allow this with our credentials (403).',
  not_found: 'The record is not there (404).',
  gone: 'The record was removed for good (410).',
  conflict: 'Another record stands in the way (409).',
  redirect: 'The provider answered with a redirect, which is never followed.',
  rejected: 'The provider will not take the call (another 4xx).',
  malformed_answer: 'What came back is not HTTP as it should be.',
  malformed_batch_answer: 'The answer to a batch does not have one result for each operation.',
  answer_cut: 'The connection ended within the answer.',
  answer_too_large: 'The answer was larger than what is read.',
  // The way there
  connection_refused: 'Nothing listens at the address.',
  connect_timeout: 'No connection came about in time.',
  connection_failed: 'The connection could not be made.',
  host_not_found: 'The name of the host does not resolve.',
  address_refused: 'The host is at an address that may not be called.',
  tls_failed: 'No secure connection could be made.',
  timeout: 'The call was sent, and no answer came in time.',
  connection_lost: 'The call was sent, and the connection ended before the answer.',
  aborted: 'The call was cut by us after it was sent.',
  // Credentials
  token_expired: 'The access token is no longer taken; it is refreshed and the call repeated.',
  credentials_refused: 'The token endpoint refuses our credentials.',
  token_unavailable: 'The token endpoint cannot be reached or does not answer properly.',
  // Refused here, before anything was sent
  invalid_payload: 'The payload is not as the provider’s schema wants it.',
  unknown_field: 'The payload has a field the mapping does not know.',
  invalid_record_id: 'The record id or entity cannot be part of a path.',
  unknown_provider_record_id: 'The path needs the provider’s own id for the record, which is not known yet.',
  invalid_request: 'The call cannot be written as an HTTP request.',
} as const;

export type ProviderErrorCode = keyof typeof providerErrorCodes;
