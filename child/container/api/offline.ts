/**
 * Containers and networks as recorded on disk, while no stack runs. Nothing is changed: a container that was running when its
 * stack was lost is shown as exited, and is recorded so by the next stack.
 */
import { join } from 'node:path';
import type { ContainerReport, LogsRequest, NetworkReport } from '../../../protocol/containers/types.js';
import { isAlive } from '../../../protocol/system/process-identity.js';
import { ConflictError, NoSuchNetworkError } from '../errors.js';
import { containerReport } from '../lifecycle/report.js';
import { type LogPiece, LogView } from '../log/view.js';
import { DEFAULT_NETWORK } from '../network/network.js';
import { NetworkRegistry } from '../network/registry.js';
import { networkReport } from '../network-admin/network-report.js';
import { processOf } from '../process/container-processes.js';
import { type ContainerRecord, ContainerStore, type RunRecord } from '../storage/container-store.js';

const STACK_LOST = 'the stack that ran it was lost';

export interface OfflineDirectories {
  dataDir: string;
  confDir: string;
}

export class OfflineContainers {
  private constructor(
    private readonly store: ContainerStore,
    private readonly networks: NetworkRegistry,
  ) {}

  /** @param warn gets a line for each file that cannot be parsed */
  static async read(
    { dataDir, confDir }: OfflineDirectories,
    warn: (line: string) => void,
  ): Promise<OfflineContainers> {
    const store = new ContainerStore(join(dataDir, 'containers'), warn);
    // What an interrupted `create` or `rm` has left is cleaned up by the next stack.
    await store.read('', () => true);
    return new OfflineContainers(store, new NetworkRegistry({ confDir, ipamDir: join(dataDir, 'addresses'), warn }));
  }

  list(): ContainerReport[] {
    return this.store.all().map((record) => this.#report(record));
  }

  /** By name, id, or the beginning of an id. Throws ContainerError. */
  inspect(name: string): ContainerReport {
    return this.#report(this.store.find(name));
  }

  async listNetworks(): Promise<NetworkReport[]> {
    const containers = this.list();
    return (await this.networks.list()).map((network) => networkReport(network, containers));
  }

  /** Throws ContainerError. */
  async inspectNetwork(name: string): Promise<NetworkReport> {
    const found = (await this.networks.list()).some((network) => network.name === name);
    if (name === DEFAULT_NETWORK && !found) {
      throw new NoSuchNetworkError(name, 'it is created for the first container');
    }
    return networkReport(await this.networks.find(name), this.list());
  }

  /** The exit code of a container that does not run; null if its end was not observed. Throws ContainerError. */
  wait(name: string): { exitCode: number | null } {
    const { status, exitCode, ...report } = this.inspect(name);
    if (status === 'running') {
      throw new ConflictError(
        `the container ${report.name} is still running, as the process ${report.pid} of a stack that was killed`,
      );
    }
    return { exitCode: exitCode ?? null };
  }

  /** The output of a container, in order. Throws ContainerError. */
  async *logs(name: string, { follow: _, ...selection }: LogsRequest): AsyncGenerator<LogPiece> {
    const { id, request } = this.store.find(name);
    const path = join(this.store.directoryOf(id), 'container.log');
    await using view = await LogView.open(path, request.log.maxFiles, selection);
    for (let pieces = await view.next(); pieces.length > 0; pieces = await view.next()) yield* pieces;
    yield* view.last();
  }

  #report(record: ContainerRecord): ContainerReport {
    const directory = this.store.directoryOf(record.id);
    return containerReport(record, { run: currentRun(this.store.run(record.id)), directory });
  }
}

/** A run that had not ended when its stack was lost has, unless its process is still alive. */
function currentRun(run: RunRecord | undefined): RunRecord | undefined {
  if (!run || run.status === 'exited') return run;
  const process = processOf(run);
  if (process && isAlive(process)) return { ...run, status: 'running' };
  // Its command was never started.
  if (run.status === 'starting') return run.finished === undefined ? undefined : { ...run, status: 'exited' };
  const { exitCode: __, reason = STACK_LOST, ...rest } = run;
  return { ...rest, status: 'exited', reason };
}
