/** How the simulated HubSpot shows a record. */
import type { HubspotRecord } from './object-store.ts';
import type { HubspotSettings } from './settings.ts';

export interface ViewOptions {
  /** Names asked for; undefined shows the defaults and all that has a value. */
  readonly properties?: readonly string[] | undefined;
  readonly isNew?: boolean | undefined;
  readonly traceId?: string | undefined;
}

export function viewOf(record: HubspotRecord, settings: HubspotSettings, { properties, isNew, traceId }: ViewOptions = {}) {
  const { id, type, archivedAtMs } = record;
  return {
    id,
    properties: propertiesOf(record, settings, properties),
    createdAt: toIso(record.createdAtMs),
    updatedAt: toIso(record.updatedAtMs),
    archived: archivedAtMs !== undefined,
    ...(archivedAtMs !== undefined && { archivedAt: toIso(archivedAtMs) }),
    ...(isNew !== undefined && { new: isNew }),
    ...(traceId !== undefined && settings.echo_trace_ids && { objectWriteTraceId: traceId }),
    url: `https://app.hubspot.com/contacts/${settings.portal_id}/record/${type.id}/${id}`,
  };
}

/** A property's value, those that the provider keeps itself with them; undefined when it has none. */
export function propertyValue(record: HubspotRecord, name: string): string | undefined {
  if (name === 'hs_object_id') return record.id;
  if (name === 'createdate') return toIso(record.createdAtMs);
  if (name === record.type.modifiedProperty) return toIso(record.updatedAtMs);
  return record.values[name];
}

export function toIso(ms: number): string {
  return new Date(ms).toISOString();
}

function propertiesOf(record: HubspotRecord, settings: HubspotSettings, asked: readonly string[] | undefined) {
  const own = ['hs_object_id', 'createdate', record.type.modifiedProperty];
  const names = asked && asked.length > 0 ? [...own, ...asked] : [...record.type.defaults, ...(asked ? [] : Object.keys(record.values))];
  const shown: Record<string, string | null> = {};
  for (const name of new Set(names)) {
    const value = propertyValue(record, name);
    if (value !== undefined) shown[name] = value;
    else if (settings.unset_properties === 'null') shown[name] = null;
  }
  return shown;
}
