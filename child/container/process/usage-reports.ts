import type { ContainerProcess, ContainerUsage } from '../../../protocol/api/usage.js';
import { ConflictError } from '../errors.js';
import type { ContainerStore, RunRecord } from '../storage/container-store.js';
import type { ContainerProcesses } from './container-processes.js';
import { processesOf, usageOf } from './usage.js';

/** What the API reports of the containers that run: what they use, and their processes. */
export class UsageReports {
  constructor(
    private readonly store: ContainerStore,
    private readonly containers: ContainerProcesses,
  ) {}

  list(): ContainerUsage[] {
    return this.store.all().flatMap(({ id, name }) => {
      const run = this.#running(id);
      return run ? [{ id, name, ...usageOf(run) }] : [];
    });
  }

  /** Throws NoSuchContainerError, and ConflictError if it does not run. */
  processes(text: string): ContainerProcess[] {
    const { id, name } = this.store.find(text);
    const pid = this.#running(id)?.pid;
    if (pid === undefined) throw new ConflictError(`the container ${name} is not running; start it first`);
    return processesOf(pid);
  }

  #running(id: string): RunRecord | undefined {
    const run = this.store.run(id);
    return run?.status === 'running' && this.containers.isRunning(run) ? run : undefined;
  }
}
