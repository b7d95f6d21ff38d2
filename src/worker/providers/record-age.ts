/**
 * Whether a record that was found can be the one that an earlier attempt has made. Attempts come after the operation's acceptance, and that after
 * the change itself: what was there before is somebody else's.
 *
 * A dead letter that is put back is accepted anew, and keeps the time of its change: so that counts where it is the earlier one. The acceptance alone
 * would disown what was made before the letter was put back, and make it twice. A change may be dated ahead of its first acceptance. Of folded operations the last one's times count: a
 * create in doubt is repeated as it was, so its attempts come after that one too.
 */
import { parseOperationId } from '../../shared/domain/operation.ts';
import type { Call } from './provider.ts';

/** The providers' clocks and ours are taken to differ by less. */
const maxClockSkewMs = 300_000;
/** The default of `SLUICE_MAX_FUTURE_SKEW_MS`: changes are dated ahead by no more. */
const maxFutureSkewMs = 300_000;

type Times = Pick<Call, 'operationId' | 'timestampMs'>;

/** Epoch milliseconds by the provider's clock, before which no attempt has made a record; undefined where the operation's id does not tell. */
export function earliestMadeMs({ operationId, timestampMs }: Times): number | undefined {
  const acceptedAtMs = parseOperationId(operationId)?.ms;
  if (acceptedAtMs === undefined) return undefined;
  const firstAcceptedMs = timestampMs < acceptedAtMs ? timestampMs - maxFutureSkewMs : acceptedAtMs;
  // A change may be dated before there were any computers; no record is.
  return Math.max(firstAcceptedMs - maxClockSkewMs, 0);
}

/** `createdAt`: as the provider tells it. A record that does not tell its age is not taken for an older one. */
export function wasThereBefore(createdAt: unknown, call: Times): boolean {
  const earliestMs = earliestMadeMs(call);
  return earliestMs !== undefined && Date.parse(String(createdAt)) < earliestMs;
}
