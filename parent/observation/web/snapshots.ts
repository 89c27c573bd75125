/**
 * What the page of a stack shows, once a second while it is open: ports, containers and connections, so many of each at most.
 * Programs of connections are looked for less often than these are listed, since that costs more.
 */
import type { Flow, Info, PortReport } from '../../../protocol/api/types.js';
import { type ContainerUsage, isUsageList } from '../../../protocol/api/usage.js';
import { printable } from '../../errors.js';

const MAX_PORTS = 300;
const MAX_FLOWS = 300;
const MAX_CONTAINERS = 200;
/** Between two looks for programs, in ms. */
const PROGRAMS_INTERVAL = 3000;

export interface SnapshotDeps {
  info: () => Info;
  /** With counters. */
  ports: () => readonly PortReport[];
  flows: (most: number, programs: boolean) => Promise<Flow[]>;
  agentGet: <T>(path: string, test: (value: unknown) => value is T) => Promise<T | undefined>;
}

export interface Snapshot {
  type: 'snapshot';
  /** In ms since the epoch. */
  time: number;
  stack: { name: string; version: string; network: string; portDriver: string };
  ports: readonly PortReport[];
  /** How many there are, which may be more than are listed. */
  portCount: number;
  containers: readonly ContainerUsage[];
  flows: readonly Flow[];
  /** How many are open: of published ports all, out of the namespaces those that are listed. */
  connectionCount: number;
}

type Owner = Pick<Flow, 'program' | 'container'>;

export class Snapshots {
  /** Of connections that are open. */
  #owners = new Map<number, Owner>();
  #lookedAt = Number.NEGATIVE_INFINITY;

  constructor(private readonly deps: SnapshotDeps) {}

  async take(): Promise<Snapshot> {
    const { info, ports, agentGet } = this.deps;
    const [usage, flows] = await Promise.all([agentGet('/v1/usage', isUsageList), this.#flows()]);
    const { name, stateDir, version, networkDriver, portDriver } = info();
    const all = ports();
    return {
      type: 'snapshot',
      time: Date.now(),
      stack: {
        name: name ?? stateDir,
        version,
        network: networkDriver?.driver ?? 'host',
        portDriver: portDriver?.driver ?? 'none',
      },
      ports: all.slice(0, MAX_PORTS),
      portCount: all.length,
      containers: (usage ?? []).slice(0, MAX_CONTAINERS).map((one) => ({ ...one, name: printable(one.name) })),
      flows,
      connectionCount: all.reduce(
        (sum, { counters }) => sum + (counters?.open ?? 0),
        flows.filter(({ direction }) => direction === 'out').length,
      ),
    };
  }

  async #flows(): Promise<Flow[]> {
    const now = performance.now();
    const looks = now - this.#lookedAt > PROGRAMS_INTERVAL;
    if (looks) this.#lookedAt = now;
    const flows = (await this.deps.flows(MAX_FLOWS, looks)).slice(0, 2 * MAX_FLOWS);
    const owners = new Map<number, Owner>();
    const owned = flows.map((flow) => {
      const { program, container } = flow;
      const owner = {
        ...this.#owners.get(flow.connection),
        ...(program && { program }),
        ...(container !== undefined && { container }),
      };
      owners.set(flow.connection, owner);
      return { ...flow, ...owner };
    });
    this.#owners = owners;
    return owned;
  }
}
