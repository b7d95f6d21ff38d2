/** What there is to know of a kind of provider without its adapter: what it can do, what it needs, and its defaults. */
import type { z } from 'zod';
import type { AuthWire } from '../auth-wire.ts';

export interface KindDescription {
  readonly name: string;
  readonly title: string;
  readonly description: string;
  readonly can: {
    /** Many records in one call. */
    readonly batch: boolean;
    /** By a call of its own, that makes the record or changes it. */
    readonly upsert: boolean;
    readonly read: boolean;
    /** It tells us of changes by calling us. */
    readonly webhook: boolean;
    /** It can be asked for changes since a point in time. */
    readonly poll: boolean;
  };
  readonly authTypes: readonly AuthWire['type'][];
  /** Undefined: it has no batch call. `isOn`: it batches where nobody says otherwise. */
  readonly batch: { readonly maxRecords: number; readonly defaultRecords: number; readonly isOn: boolean } | undefined;
  /** Where nobody gives any; in the wire form. */
  readonly limits: readonly { readonly requests: number; readonly per: string }[];
  /** Nothing is known of its paths and fields but what is configured: `endpoints`, `batch.path`, `mapping`. */
  readonly isGeneric: boolean;
  /** The field `options`; undefined where it has none. */
  readonly options: z.ZodObject | undefined;
}
