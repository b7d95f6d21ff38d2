/** The records of a plain REST service, and what its five operations do to them. */
import type { Reply } from '../simulated-provider.ts';

export interface RecordStoreSettings {
  /** A create for a record that is there: refuse it with 409, or take its fields. */
  readonly create_existing: 'conflict' | 'merge';
  /** An update for a record that is not there: refuse it with 404, or create it. */
  readonly update_missing: 'not_found' | 'create';
}

type Fields = Readonly<Record<string, unknown>>;

export interface RecordStore {
  apply(operation: string, entity: string, recordId: string, data: Fields): Reply;
  all(entity: string | undefined): Record<string, Fields>;
  clear(): void;
}

export function createRecordStore(settings: () => RecordStoreSettings): RecordStore {
  const records = new Map<string, Fields>();
  return {
    apply(operation, entity, recordId, data) {
      const key = `${entity}/${recordId}`;
      const held = records.get(key);
      const refusal = refuse(operation, held, settings());
      if (refusal) return refusal;
      if (operation === 'read') return { status: 200, body: { ...held, id: recordId } };
      if (operation === 'delete') {
        records.delete(key);
        return { status: 204 };
      }
      records.set(key, merge(held, data));
      return { status: held ? 200 : 201, body: { id: recordId } };
    },
    all(entity) {
      const chosen = [...records].filter(([key]) => entity === undefined || key.startsWith(`${entity}/`));
      return Object.fromEntries(chosen);
    },
    clear: () => records.clear(),
  };
}

function refuse(operation: string, held: Fields | undefined, settings: RecordStoreSettings): Reply | undefined {
  if (operation === 'create' && held && settings.create_existing === 'conflict') return problem(409, 'the record exists');
  if (held) return undefined;
  const needsRecord = operation === 'read' || operation === 'delete' || (operation === 'update' && settings.update_missing === 'not_found');
  return needsRecord ? problem(404, 'no such record') : undefined;
}

/** Fields that are null are cleared; those that are not named stay. */
function merge(held: Fields | undefined, data: Fields): Fields {
  return Object.fromEntries(Object.entries({ ...held, ...data }).filter(([, value]) => value !== null));
}

export function problem(status: number, message: string): Reply {
  return { status, body: { error: message } };
}
