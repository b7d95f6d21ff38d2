/** The simulated CRMs in one process, and what the bench reads of them: their calls and the contacts they hold. */
import type { AddressInfo } from 'node:net';
import { faultsSchema } from '../../src/simulator/faults.ts';
import { createMounts } from '../../src/simulator/mounts.ts';
import { createSimulatorServer } from '../../src/simulator/server.ts';
import type { Simulator } from '../../src/simulator/simulator.ts';
import { serveCommands } from './commands.ts';

export type Crm = 'salesforce' | 'hubspot' | 'outreach';

export interface SimulatedCall {
  readonly arrivedAtMs: number;
  /** Undefined while in flight, and where the connection was cut. */
  readonly status: number | undefined;
  /** It opens a bulk job. */
  readonly isJob: boolean;
  readonly operations: readonly string[];
}

export interface SimulatedContact {
  readonly id: string;
  readonly email: string;
  readonly firstName: string;
}

export interface CallCounts {
  readonly calls: number;
  /** By status, or `cut`. */
  readonly byStatus: Readonly<Record<string, number>>;
}

const mounts = createMounts({ keepCalls: 0 });

function simulatorOf(crm: Crm): Simulator {
  const simulator = mounts.get(`/${crm}`);
  if (!simulator) throw new Error(`no simulator of ${crm}`);
  return simulator;
}

/** The three show their records each in its own way. */
function readContact(key: string, record: unknown): SimulatedContact {
  const held = record as Readonly<Record<string, unknown>>;
  const fields = (held['properties'] ?? held['attributes'] ?? held) as Readonly<Record<string, unknown>>;
  const emails = fields['emails'];
  const email = Array.isArray(emails) ? emails[0] : (fields['Email'] ?? fields['email']);
  const firstName = fields['FirstName'] ?? fields['firstname'] ?? fields['firstName'];
  return { id: key.slice(key.indexOf('/') + 1), email: String(email), firstName: String(firstName) };
}

const commands = {
  /** The port. */
  listen: () =>
    new Promise<number>((resolve, reject) => {
      const server = createSimulatorServer(mounts);
      server.once('error', reject);
      server.listen({ port: 0, host: '127.0.0.1', backlog: 4_096 }, () => resolve((server.address() as AddressInfo).port));
    }),
  /** Changes the settings named. */
  set({ crm, settings }: { crm: Crm; settings: Readonly<Record<string, unknown>> }) {
    const { provider } = simulatorOf(crm);
    const outcome = provider.change({ ...(provider.settings() as object), ...settings });
    if (outcome.status === 'refused') throw new Error(outcome.reason);
  },
  /** Replaces the faults. */
  fail({ crm, faults }: { crm: Crm; faults: Readonly<Record<string, unknown>> }) {
    simulatorOf(crm).setFaults(faultsSchema.parse(faults));
  },
  /** Forgets the calls so far, and keeps the next ones, up to so many. */
  keepCalls({ crm, keep }: { crm: Crm; keep: number }) {
    const { log } = simulatorOf(crm);
    log.clear();
    log.keep(keep);
  },
  calls: (crm: Crm): SimulatedCall[] =>
    simulatorOf(crm)
      .log.list(-1, Number.POSITIVE_INFINITY)
      .map(({ arrivedAtMs, status, method, path, items }) => ({
        arrivedAtMs,
        status,
        isJob: method === 'POST' && path.endsWith('/jobs/ingest'),
        operations: items.map(({ operation }) => operation),
      })),
  counts(crm: Crm): CallCounts {
    const { calls, by_status } = simulatorOf(crm).log.counts();
    return { calls, byStatus: by_status };
  },
  contacts: (crm: Crm): SimulatedContact[] =>
    Object.entries(simulatorOf(crm).provider.records(undefined)).map(([key, record]) => readContact(key, record)),
};
export type CrmSimulatorsCommands = typeof commands;

serveCommands(commands);
