/** What tests of the engine ask of a bench again and again. */
import { type Place, parseOperationId } from '../../src/shared/domain/operation.ts';
import type { OperationView } from '../../src/shared/queue/status.ts';
import type { Bench } from './engine.ts';
import { eventually } from './eventually.ts';

export const placeOf = (operationId: string): Place => {
  const place = parseOperationId(operationId);
  if (!place) throw new Error(`no operation id: ${operationId}`);
  return place;
};

export const viewOf = (bench: Bench, operationId: string): Promise<OperationView | undefined> => bench.status.read(placeOf(operationId));

/** Waits until all of them are in the state. */
export async function allAre(bench: Bench, state: string, operationIds: readonly string[]): Promise<void> {
  await eventually(
    async () => {
      const states = await Promise.all(operationIds.map((id) => bench.stateOf(id)));
      if (states.some((each) => each !== state)) throw new Error(`they are ${states.join(' ')}`);
    },
    { intervalMs: 5 },
  );
}

/** Waits until nothing is left to do. */
export async function allDone(bench: Bench): Promise<void> {
  await eventually(
    async () => {
      const backlog = [...(await bench.backlog.readAll()).values()].reduce((sum, each) => sum + each.backlog, 0);
      if (backlog > 0) throw new Error(`${backlog} operations are not final`);
    },
    { intervalMs: 5 },
  );
}

/** Waits until a worker has read so many and finished none of them. */
export async function pending(bench: Bench, count: number, provider = 'crm'): Promise<void> {
  await eventually(async () => (await bench.backlog.read(provider)).pending === count, { intervalMs: 2 });
}

type Sent = Partial<Parameters<Bench['send']>[0]>;

export const update = (bench: Bench, recordId: string, data: object = { x: 1 }, part: Sent = {}) =>
  bench.send({ kind: 'update', recordId, dataJson: JSON.stringify(data), ...part });
export const create = (bench: Bench, recordId: string, data: object = { x: 1 }, part: Sent = {}) =>
  bench.send({ kind: 'create', recordId, dataJson: JSON.stringify(data), ...part });
