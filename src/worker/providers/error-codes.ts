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
  // Adapters of several requests
  create_in_doubt: 'An earlier create may have been carried out, and there is no way to find out.',
  adapter_fault: 'The adapter failed over what it was answered: a bug.',
  // Salesforce
  daily_limit: 'The calls of the last 24 hours have used up what the organization may make.',
  concurrency_limit: 'Too many long calls run at once.',
  record_locked: 'Another transaction holds the record or its parent.',
  batch_rolled_back: 'The record was rolled back for another one’s sake.',
  duplicate_record: 'The provider has such a record already; the message names it where the provider does.',
  multiple_matches: 'Several records have this external id.',
  foreign_edit: 'Somebody else has changed the record since.',
  approval_locked: 'The record waits for an approval and cannot be changed until a person decides.',
  missing_field: 'The provider misses a field; the message names it.',
  invalid_field: 'The provider refuses a field or its value; the message names it.',
  storage_full: 'The organization has no room for further records.',
  bulk_job_failed: 'The bulk job ended before it came to the record.',
  bulk_job_lost: 'What became of the bulk job could not be found out.',
  // HubSpot, Outreach
  unreadable_answer: 'The provider took the call, but its answer does not say what became of the record.',
  account_moving: 'The provider moves the account to another place, and takes no calls meanwhile (477).',
  maintenance: 'The provider is down for maintenance.',
  // Refused here, before anything was sent
  invalid_payload: 'The payload is not as the provider’s schema wants it.',
  unknown_field: 'The payload has a field the mapping does not know.',
  invalid_record_id: 'The record id or entity cannot be part of a path.',
  unknown_provider_record_id: 'The path needs the provider’s own id for the record, which is not known yet.',
  invalid_request: 'The call cannot be written as an HTTP request.',
} as const;

export type ProviderErrorCode = keyof typeof providerErrorCodes;
