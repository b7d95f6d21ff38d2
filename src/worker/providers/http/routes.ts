/** Method and path of each operation: the kind's own, or what `endpoints` says. Ids and entities are percent-encoded. */
import { type OperationKind, operationKinds } from '../../../shared/domain/operation.ts';
import type { ProviderError } from '../../../shared/domain/provider-error.ts';
import type { ProviderConfig } from '../../../shared/providers/config.ts';
import { encodeSegment } from '../path-segment.ts';
import type { Call } from '../provider.ts';

export interface Route {
  readonly method: string;
  /** The call's path, or why it has none. */
  path(call: Call): string | ProviderError;
}

const ownEndpoints: Readonly<Record<OperationKind, { readonly method: string; readonly path: string }>> = {
  create: { method: 'POST', path: '/{entity}' },
  update: { method: 'PATCH', path: '/{entity}/{record_id}' },
  upsert: { method: 'PUT', path: '/{entity}/{record_id}' },
  delete: { method: 'DELETE', path: '/{entity}/{record_id}' },
  read: { method: 'GET', path: '/{entity}/{record_id}' },
};

/** The path of `baseUrl`, without a slash at its end. */
export function basePathOf(baseUrl: string): string {
  return new URL(baseUrl).pathname.replace(/\/+$/, '');
}

export function createRoutes(config: Pick<ProviderConfig, 'baseUrl' | 'endpoints'>): Readonly<Record<OperationKind, Route>> {
  const basePath = basePathOf(config.baseUrl);
  const routes = operationKinds.map((kind) => {
    const { method, path } = config.endpoints?.[kind] ?? ownEndpoints[kind];
    return [kind, { method, path: compile(basePath + path) }] as const;
  });
  return Object.fromEntries(routes) as Record<OperationKind, Route>;
}

/** A template cut once into texts and names, in turn. */
function compile(template: string): Route['path'] {
  const [head = '', ...rest] = template.split(/\{(entity|record_id|provider_record_id)\}/);
  return (call) => {
    let path = head;
    for (let index = 0; index < rest.length; index += 2) {
      const value = valueFor(rest[index] as string, call);
      if (value === undefined) return providerRecordIdMissing;
      const segment = encodeSegment(value);
      if (segment === undefined) return unfitForPath;
      path += segment + (rest[index + 1] as string);
    }
    return path;
  };
}

function valueFor(name: string, call: Call): string | undefined {
  if (name === 'entity') return call.entity;
  return name === 'record_id' ? call.recordId : call.providerRecordId;
}

const unfitForPath: ProviderError = {
  kind: 'invalid',
  code: 'invalid_record_id',
  message: 'the record id or the entity cannot be part of a path',
};
const providerRecordIdMissing: ProviderError = {
  kind: 'invalid',
  code: 'unknown_provider_record_id',
  message: 'the path needs {provider_record_id}, and the provider’s id for this record is not known',
};
