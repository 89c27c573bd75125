/** What the tasks of a container's life share. */
import type { HostInfo } from '../../../protocol/wire/messages.js';
import type { Attacher } from '../network/attacher.js';
import type { NameFiles } from '../network/name-files/name-files.js';
import type { PeerRegistry } from '../network/name-files/peer-registry.js';
import type { PortPublisher } from '../ports/port-publisher.js';
import type { Cgroups } from '../process/cgroups.js';
import type { ContainerProcesses } from '../process/container-processes.js';
import type { ExitNotifier } from '../process/exit-notifier.js';
import type { MonitorInputs } from '../process/monitor-input.js';
import type { RunFiles } from '../process/run-files.js';
import type { SharedNamespaces } from '../process/shared-namespaces.js';
import type { ContainerStore } from '../storage/container-store.js';
import type { FaultInjector } from '../storage/fault-injection.js';
import type { ContainerLocks } from '../storage/lock.js';
import type { NameRegistry } from '../storage/name-registry.js';
import type { RestartScheduler } from './restart/restart-scheduler.js';

/** Stores, and services that act for containers. */
export interface EngineServices {
  /** Id of this run of the stack; see RunRecord.stack. */
  readonly stack: string;
  /** Path of the socket that OCI hooks connect to. */
  readonly agentSocket: string;
  readonly store: ContainerStore;
  readonly names: NameRegistry;
  readonly files: RunFiles;
  readonly attacher: Attacher;
  readonly peers: PeerRegistry;
  readonly nameFiles: NameFiles;
  readonly ports: PortPublisher;
  readonly cgroups: Cgroups;
  readonly processes: ContainerProcesses;
  readonly shared: SharedNamespaces;
  readonly hostInfo: () => Promise<HostInfo>;
  readonly faults: FaultInjector;
  readonly warn: (line: string) => void;
}

/** The services, and the state that the tasks share while the agent runs. */
export interface EngineContext extends EngineServices {
  readonly locks: ContainerLocks;
  readonly exits: ExitNotifier;
  readonly inputs: MonitorInputs;
  readonly restarts: RestartScheduler;
  readonly removalTasks: RemovalTasks;
  /** Containers that a user has sent a signal that ends them; they are not restarted. */
  readonly killed: Set<string>;
  /** Whether the stack is ending: nothing is started any more. */
  closing: boolean;
}

/** Tasks to be done before the files of a container are removed. */
export class RemovalTasks {
  readonly #tasks = new Map<string, Set<() => Promise<void>>>();

  /** Returns a function that cancels the task. */
  add(id: string, task: () => Promise<void>): () => void {
    const tasks = this.#tasks.get(id) ?? new Set();
    this.#tasks.set(id, tasks.add(task));
    return () => {
      tasks.delete(task);
      if (tasks.size === 0) this.#tasks.delete(id);
    };
  }

  /** Resolves when all are done, whether or not they failed. */
  async run(id: string): Promise<void> {
    await Promise.allSettled([...(this.#tasks.get(id) ?? [])].map((task) => task()));
  }
}
