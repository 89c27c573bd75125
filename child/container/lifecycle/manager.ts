/**
 * The containers of a stack: created, started, stopped, removed.
 *
 * Theory of operation. created → starting → running → exited → starting …; `rm` from any state but running. One task at a
 * time for each container, by its lock. A start (start.ts) has the monitor run the OCI runtime; when the container ends, its
 * exit file appears (exit-watcher.ts), and the run is cleaned up (run-end.ts). A container whose monitor was killed is found
 * by its process being gone. The container's own process decides (process/container-processes.ts): while it lives, the
 * container is not recorded as exited, keeps its addresses and its ports, and is not started again. An agent that replaces
 * another one continues with the containers of that one (recovery.ts). What an earlier stack left is ended, since its network
 * ended with that stack.
 */
import type { AttachmentRequest, ContainerReport, ContainerRequest } from '../../../protocol/containers/types.js';
import { errorText } from '../../../protocol/errors/error-text.js';
import { ConflictError } from '../errors.js';
import type { AttachState } from '../network/attachment-store.js';
import type { Spec } from '../oci/bundle.js';
import type { OCIRuntime } from '../oci/runtime.js';
import { ExitNotifier } from '../process/exit-notifier.js';
import { type MonitorInput, MonitorInputs } from '../process/monitor-input.js';
import type { ContainerRecord, ContainerStore } from '../storage/container-store.js';
import { ContainerLocks } from '../storage/lock.js';
import {
  changeEgress,
  connectNetwork,
  disconnectNetwork,
  type EgressRequest,
  networksOf,
  publishPeerNames,
  withNetworkOwner,
} from './container-network.js';
import { type EngineContext, type EngineServices, RemovalTasks } from './context.js';
import { createContainer } from './create.js';
import { ExitWatcher } from './exit-watcher.js';
import { recoverContainers } from './recovery.js';
import { reportContainer } from './report.js';
import { RestartScheduler, type StartAgain } from './restart/restart-scheduler.js';
import { refreshStatus, removeContainer } from './run-end.js';
import { ContainerStarter, type StartOptions } from './start.js';
import { endRun, type StopOptions, signalContainer, stopContainer } from './stop.js';

export class ContainerManager {
  readonly #ctx: EngineContext;
  readonly #starter: ContainerStarter;
  readonly #watcher: ExitWatcher;

  constructor(services: EngineServices) {
    const { stack, store, warn } = services;
    const exits = new ExitNotifier();
    const restarts = new RestartScheduler({
      stack,
      store,
      startAgain: (id, options) => this.#startAgain(id, options),
      onGivenUp: (id) => exits.notify(id, store.run(id)?.exitCode),
      warn,
    });
    this.#ctx = {
      ...services,
      locks: new ContainerLocks(),
      exits,
      inputs: new MonitorInputs(),
      restarts,
      removalTasks: new RemovalTasks(),
      killed: new Set(),
      closing: false,
    };
    this.#starter = new ContainerStarter(this.#ctx);
    this.#watcher = new ExitWatcher(this.#ctx);
  }

  get store(): ContainerStore {
    return this.#ctx.store;
  }

  // --- the agent's own life

  /** Finds out what an earlier agent or stack left, continues or cleans it up, and watches for exits from then on. */
  async recover(): Promise<void> {
    await this.#watcher.start();
    await recoverContainers(this.#ctx);
  }

  /** Restores what is gone of the state directory. */
  async renew(): Promise<void> {
    const { store, files } = this.#ctx;
    await this.#watcher.watchExitFiles();
    for (const { id } of store.all()) if (store.run(id)?.status === 'running') files.copies.restore(id);
  }

  /** Starts the containers that are to run by their restart policies; to be called after recover(). */
  resume(): void {
    this.#ctx.restarts.resume();
  }

  /** Ends all containers, at the end of the stack; none is started any more. */
  async stopAll(timeout: number): Promise<void> {
    const { store, restarts, warn } = this.#ctx;
    this.#ctx.closing = true;
    restarts.close();
    await Promise.all(
      store.all().map(({ id }) => this.stop(id, { timeout }).catch((error: unknown) => warn(errorText(error)))),
    );
  }

  close(): void {
    this.#ctx.restarts.close();
    this.#watcher.close();
  }

  // --- tasks; `text` is a name, an id or the beginning of one, and NoSuchContainerError is thrown where there is none

  /** Throws ContainerError. */
  create(request: ContainerRequest): Promise<ContainerRecord> {
    return createContainer(this.#ctx, request);
  }

  /** Does nothing if it runs already. Throws ContainerError; the container is then as it was before. */
  async start(text: string, options: StartOptions = {}): Promise<ContainerRecord> {
    const { store, processes, locks } = this.#ctx;
    const { id } = store.find(text);
    return locks.exclusively(id, async () => {
      if (this.#ctx.closing) throw new ConflictError('the stack is ending');
      const record = store.find(id);
      await refreshStatus(this.#ctx, record);
      const run = store.run(id);
      if (run?.status === 'running' && processes.isOfEarlierStack(run)) {
        throw new ConflictError(
          `the container ${record.name} still runs as the process ${run.pid} of a stack that has ended; end that process first`,
        );
      }
      if (run?.status !== 'running') await this.#start(record, options);
      return record;
    });
  }

  /** Starts a container by its restart policy. Throws ContainerError, after the failure is recorded. */
  async #startAgain(id: string, { first, isWanted }: Parameters<StartAgain>[1]): Promise<void> {
    const { stack, store, locks } = this.#ctx;
    await locks.exclusively(id, async () => {
      const record = store.get(id);
      if (!record || this.#ctx.closing || !isWanted()) return;
      const before = store.run(id);
      if (before?.status !== 'exited') return;
      const restarts = first ? 0 : (before.restarts ?? 0) + 1;
      try {
        await this.#start(record, { restarts });
      } catch (error) {
        const left = store.run(id) ?? before;
        await store.writeRun(id, { ...left, stack, restarts, failure: errorText(error) });
        throw error;
      }
    });
  }

  #start(record: ContainerRecord, options: StartOptions): Promise<void> {
    return withNetworkOwner(this.#ctx, record, () => this.#starter.start(record, options));
  }

  /** See stopContainer(). */
  async stop(text: string, options: StopOptions = {}): Promise<ContainerRecord> {
    const record = this.store.find(text);
    await stopContainer(this.#ctx, record, options);
    return record;
  }

  /** See signalContainer(). */
  async kill(text: string, signal: NodeJS.Signals | number): Promise<ContainerRecord> {
    const record = this.store.find(text);
    await signalContainer(this.#ctx, record, signal);
    return record;
  }

  /** Throws ConflictError if the container runs or is about to be restarted; with `force` it is ended. */
  async remove(text: string, { force }: { force: boolean }): Promise<ContainerRecord> {
    const { store, locks, restarts, exits } = this.#ctx;
    const record = store.find(text);
    return locks.exclusively(record.id, async () => {
      await refreshStatus(this.#ctx, record);
      const run = store.run(record.id);
      if (run?.status === 'running') {
        if (!force)
          throw new ConflictError(`the container ${record.name} is running; stop it first, or use rm --force`);
        await endRun(this.#ctx, record, run, { timeout: 0 });
      }
      if (!force && restarts.isWaiting(record.id)) {
        throw new ConflictError(
          `the container ${record.name} is about to be started again; stop it first, or use rm --force`,
        );
      }
      restarts.cancel(record.id);
      const left = store.get(record.id);
      if (left) {
        const code = store.run(left.id)?.exitCode;
        await removeContainer(this.#ctx, left, { force });
        // Clients may wait for one that was never started.
        exits.notify(left.id, code);
      }
      return record;
    });
  }

  /** Throws ConflictError if another container has the name. */
  async rename(text: string, name: string): Promise<ContainerRecord> {
    const { store, names, nameFiles, locks, faults } = this.#ctx;
    const { id } = store.find(text);
    return locks.exclusively(id, async () => {
      const before = store.find(id);
      if (before.name === name) return before;
      const record = { ...before, name };
      await names.exclusively(async () => {
        try {
          await faults.step('rename', 'name', () => names.acquire(name, id));
          await faults.step('rename', 'record', () => store.write(record));
        } finally {
          // The record decides which of the two names it has.
          const other = store.find(id).name === name ? before.name : name;
          await faults.step('rename', 'old-name', () => names.release(other, id));
        }
      });
      const attached = store.run(id)?.status === 'running' && networksOf(record) !== undefined;
      await faults.step('rename', 'peers', () =>
        attached ? publishPeerNames(this.#ctx, record) : nameFiles.note(record),
      );
      return record;
    });
  }

  connect(text: string, asked: AttachmentRequest): Promise<AttachState> {
    return connectNetwork(this.#ctx, text, asked);
  }

  disconnect(text: string, network: string): Promise<AttachState> {
    return disconnectNetwork(this.#ctx, text, network);
  }

  /** Changes a container's own egress policy and rate limit. Throws ContainerError. */
  changeEgress(text: string, edit: (request: EgressRequest) => Partial<EgressRequest>): Promise<ContainerRecord> {
    return changeEgress(this.#ctx, text, edit);
  }

  /** Puts the policies of a container into effect where it runs, as they are now. Throws ContainerError. */
  async restorePolicies(id: string): Promise<void> {
    const { store, locks, attacher } = this.#ctx;
    await locks.exclusively(id, async () => {
      const record = store.get(id);
      if (record && networksOf(record) && store.run(id)?.status === 'running')
        await attacher.policies.restore(id, record);
    });
  }

  /** The same for all that run, those of other OCI runtimes included; to be called after recover(). */
  recoverPolicies(): Promise<void> {
    const { store, attacher } = this.#ctx;
    return attacher.policies.recover((id) => store.get(id));
  }

  /** Enters a container that runs into its peers' hosts files, under the name that it has now. */
  async publishPeerNames(id: string): Promise<void> {
    const { store, locks } = this.#ctx;
    await locks.exclusively(id, async () => {
      if (store.run(id)?.status === 'running') await publishPeerNames(this.#ctx, store.find(id));
    });
  }

  /** Brings the name files of running containers up to date with the host's. */
  async followHost(): Promise<void> {
    const { store, locks, nameFiles, warn } = this.#ctx;
    for (const { id, name } of store.all()) {
      await locks
        .exclusively(id, async () => {
          const record = store.get(id);
          if (record && store.run(id)?.status === 'running') await nameFiles.follow(record);
        })
        .catch((error: unknown) => warn(`cannot update resolv.conf of ${name}: ${errorText(error)}`));
    }
  }

  // --- state

  report(record: ContainerRecord): Promise<ContainerReport> {
    return reportContainer(this.#ctx, record);
  }

  /** How many containers run, are about to be restarted, or have a task under way. */
  inUse(): number {
    const { store, restarts } = this.#ctx;
    return store.all().filter(({ id }) => this.isAttached(id) || restarts.isWaiting(id)).length;
  }

  /** Whether anything of a container should be on networks now. */
  isAttached(id: string): boolean {
    const status = this.store.run(id)?.status;
    return status === 'running' || status === 'starting' || this.#ctx.locks.isBusy(id);
  }

  /** Resolves with the exit code once the container does not run (any more); undefined if it is unknown. */
  async wait(id: string): Promise<number | undefined> {
    const { store, restarts } = this.#ctx;
    for (;;) {
      const record = store.get(id);
      const run = store.run(id);
      if (!record || !run || (run.status === 'exited' && !restarts.isWaiting(id))) {
        // It may be about to be removed.
        if (record?.request.autoRemove) await this.settled(id);
        return run?.exitCode;
      }
      const code = await new Promise<number | undefined>((resolve) => {
        this.onceEnded(id, resolve);
      });
      // It may have been removed at once.
      if (!store.get(id)) return code;
    }
  }

  /** See ExitNotifier.once(). */
  onceEnded(id: string, listener: (code: number | undefined) => void): () => void {
    return this.#ctx.exits.once(id, listener);
  }

  /** Resolves when the tasks under way for a container are done, such as its removal at its end. */
  settled(id: string): Promise<void> {
    return this.#ctx.locks.quietly(id, async () => {});
  }

  /** Runs a task while no other task starts or ends the container, or changes its networks. */
  exclusively<T>(id: string, task: () => Promise<T>): Promise<T> {
    return this.#ctx.locks.exclusively(id, task);
  }

  /** Runs the task while a container is not started; not at all where it runs. */
  async whileStopped(id: string, task: () => Promise<void>): Promise<void> {
    await this.#ctx.locks.quietly(id, async () => {
      const status = this.store.run(id)?.status;
      if (status !== 'running' && status !== 'starting') await task();
    });
  }

  // --- streams, and further programs

  /** The connection to a running container's standard input or terminal; undefined if its monitor is gone. */
  input(id: string): Promise<MonitorInput | undefined> {
    return this.#ctx.inputs.get(id, this.#ctx.files.bundle(id));
  }

  /** New files for a program that is run in a container. */
  execFiles(id: string): { processFile: string; pidFile: string } {
    return this.#ctx.files.execFiles(id);
  }

  /** The newest file of a container's log. */
  logFile(id: string): string {
    return this.#ctx.files.logFile(id);
  }

  /** The OCI runtime that a container is run with. */
  runtimeOf(record: ContainerRecord): OCIRuntime {
    return this.#ctx.files.runtimeOf(record);
  }

  /** The configuration that the OCI runtime was given. Throws ConflictError if the container does not run. */
  async specOf({ id, name }: ContainerRecord): Promise<Spec> {
    const spec = await this.#ctx.files.specOf(id);
    if (!spec) throw new ConflictError(`the container ${name} is not running; start it first`);
    return spec;
  }

  /** Runs `task` before the files of a container are removed. Returns a function that cancels it. */
  beforeRemoval(id: string, task: () => Promise<void>): () => void {
    return this.#ctx.removalTasks.add(id, task);
  }

  // --- OCI hooks of our own containers

  /** Throws ContainerError. */
  onCreateRuntime(id: string, pid: number): Promise<void> {
    return this.#starter.onCreateRuntime(id, pid);
  }

  /** A task that started or ended the container cleans up by itself. */
  async onPoststop(id: string): Promise<void> {
    if (!this.#ctx.locks.isBusy(id)) this.#watcher.scheduleReap(id);
  }
}
