/**
 * Starting containers.
 *
 * Theory of operation. A start opens the published ports, writes the name files and the OCI configuration, and has the
 * monitor run the OCI runtime. That makes the namespaces, and runs our createRuntime hook, which comes back as
 * onCreateRuntime() for the network. Then the container's process, which waits, executes its program. A start that fails is rolled
 * back step by step, the last one first, and the container is as it was before; where the agent dies meanwhile, its
 * successor finds the run `starting`, and cleans up.
 */
import { randomBytes } from 'node:crypto';
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { shortId } from '../../../protocol/containers/short-id.js';
import type { TerminalSize } from '../../../protocol/containers/types.js';
import { errorText } from '../../../protocol/errors/error-text.js';
import { fileErrorOf } from '../../../protocol/errors/file-error.js';
import type { CNIPortMapping } from '../../../protocol/ports/cni-json.js';
import { identityOf, startTimeOf } from '../../../protocol/system/process-identity.js';
import { ConflictError, ContainerError } from '../errors.js';
import { INITIAL_SIZE } from '../exec/terminal.js';
import type { AttachRequest } from '../network/attach-request.js';
import { checkArguments } from '../oci/argument-limits.js';
import type { Spec } from '../oci/bundle.js';
import { fileLimit } from '../oci/file-limit.js';
import { stringifySpec } from '../oci/options.js';
import { checkProgram } from '../oci/program-check.js';
import { checkRootDirectory } from '../oci/root-directory.js';
import type { NamedCommand, OCIRuntime } from '../oci/runtime.js';
import { type ContainerCgroup, makeSpec } from '../oci/spec.js';
import { removePidFile } from '../process/pid-file.js';
import { write } from '../storage/atomic-files.js';
import type { ContainerRecord, RunRecord } from '../storage/container-store.js';
import type { Step } from '../storage/fault-injection.js';
import { attachRequestOf, netnsOf, networksOf, sharedNamespaceOf } from './container-network.js';
import type { EngineContext } from './context.js';
import { publishListeners, reservePorts, writeNetworkConfig } from './published-ports.js';
import { refreshStatus } from './run-end.js';

export interface StartOptions {
  /** Called when everything is set up, and the container's program waits to begin. */
  beforeRun?: (record: ContainerRecord) => Promise<void>;
  /** Initial size of its terminal. */
  size?: TerminalSize | undefined;
  /** How often its restart policy has started it, this time included; absent if a user starts it. */
  restarts?: number;
}

/** A network to be set up by the createRuntime hook. */
interface PendingNetwork {
  request: AttachRequest;
  failure?: unknown;
}

export class ContainerStarter {
  readonly #pending = new Map<string, PendingNetwork>();

  constructor(private readonly ctx: EngineContext) {}

  /** The caller holds the container's lock. Throws ContainerError; the container is then as it was before. */
  async start(record: ContainerRecord, options: StartOptions): Promise<void> {
    const { ctx } = this;
    const { id, request } = record;
    const before = ctx.store.run(id);
    checkRootDirectory(request);
    if (options.restarts === undefined) ctx.restarts.cancel(id);
    ctx.killed.delete(id);
    const run = new StartRun(ctx, { record, options, before, pending: this.#pending });
    // Two runs never share a root file system, whatever the record contains.
    if (before) await ctx.processes.end(before);
    try {
      await run.execute();
    } catch (error) {
      const cause = this.#pending.get(id)?.failure ?? error;
      await run.rollback();
      throw cause instanceof ContainerError
        ? cause
        : new ContainerError(`cannot start ${record.name}: ${errorText(cause)}`, fileErrorOf(cause)?.httpStatus ?? 500);
    } finally {
      this.#pending.delete(id);
    }
  }

  /** The createRuntime hook of one of our containers. Throws ContainerError. */
  async onCreateRuntime(id: string, pid: number): Promise<void> {
    const pending = this.#pending.get(id);
    if (!pending) throw new ConflictError(`the container ${shortId(id)} can only be started with: rootless-net start`);
    try {
      await this.ctx.attacher.attach({ ...pending.request, pid, netns: `/proc/${pid}/ns/net` });
    } catch (error) {
      pending.failure = error;
      throw error;
    }
  }
}

interface StartInput {
  record: ContainerRecord;
  options: StartOptions;
  /** The last run; undefined if there was none. */
  before: RunRecord | undefined;
  pending: Map<string, PendingNetwork>;
}

class StartRun {
  readonly #id: string;
  readonly #runtime: OCIRuntime;
  readonly #size: TerminalSize;
  readonly #cgroup: ContainerCgroup | undefined;
  readonly #undo: Undo[] = [];
  /** What is recorded of this run, and becomes it step by step. */
  #run: RunRecord;

  constructor(
    private readonly ctx: EngineContext,
    private readonly input: StartInput,
  ) {
    const { record, options, before } = input;
    this.#id = record.id;
    this.#runtime = ctx.files.runtimeOf(record);
    this.#size = options.size ?? INITIAL_SIZE;
    this.#cgroup = ctx.cgroups.cgroupFor(record.id);
    this.#run = {
      ...outcomeOf(before),
      status: 'starting',
      stack: ctx.stack,
      restarts: options.restarts ?? 0,
      exitFile: `${record.id}.${randomBytes(4).toString('hex')}`,
      ...(this.#cgroup ? { cgroup: this.#cgroup.path } : {}),
    };
  }

  async execute(): Promise<void> {
    const { ctx } = this;
    const { record, options } = this.input;
    this.#undo.push(
      () => this.#restoreStatus(),
      () => this.#removeFiles(),
      () => this.#detach(),
    );
    const published = await this.#step('ports', () => this.#reservePorts());
    await this.#step('status', () => ctx.store.writeRun(this.#id, this.#run));
    await this.#step('files', async () => {
      await ctx.nameFiles.write(record);
      await writeNetworkConfig(ctx.store, this.#id, published);
    });
    using shared = sharedNamespaceOf(ctx, record);
    const spec = await this.#makeSpec(shared?.path ?? netnsOf(record.request.network));
    await this.#step('bundle', () => this.#writeBundle(spec));
    await this.#prepareNetwork(published);
    const container = { name: record.name, program: spec.process.args[0] ?? '' };
    await this.#create(container);
    await options.beforeRun?.(record);
    checkProgram(`/proc/${this.#run.pid}/root`, spec.process, { init: record.request.init });
    await this.#step('run', () => this.#runtime.start(this.#id, container));
    // Not earlier: a container that a crash leaves waiting would count as running.
    await this.#step('running', () => ctx.store.writeRun(this.#id, this.#run));
    ctx.files.copies.keep(this.#id);
    await publishListeners(ctx, record);
    // It may have ended already.
    await refreshStatus(ctx, record);
  }

  /** Undoes what was done, the last step first. What fails is warned of; never throws. */
  async rollback(): Promise<void> {
    for (const undo of this.#undo.reverse()) {
      const outcome = await undo().catch((error: unknown) => this.ctx.warn(errorText(error)));
      if (outcome === 'keep') return;
    }
  }

  async #reservePorts(): Promise<CNIPortMapping[]> {
    const { record } = this.input;
    // A container that is on none of its networks cannot be reached.
    if (record.request.publish.length === 0 || networksOf(record)?.length === 0) return [];
    return reservePorts(this.ctx, record);
  }

  async #makeSpec(netns: string | undefined): Promise<Spec> {
    const { ctx } = this;
    const { record } = this.input;
    const spec = await makeSpec({
      id: this.#id,
      request: record.request,
      hostname: record.hostname,
      nameFiles: ctx.nameFiles.directoryOf(record),
      netns,
      hooks: networksOf(record) !== undefined,
      agentSocket: ctx.agentSocket,
      fileLimit: fileLimit(),
      size: this.#size,
      warn: ctx.warn,
      cgroup: this.#cgroup,
    });
    checkArguments(spec.process);
    return spec;
  }

  async #writeBundle(spec: Spec): Promise<void> {
    const bundle = this.ctx.files.bundle(this.#id);
    mkdirSync(bundle, { recursive: true, mode: 0o700 });
    write(join(bundle, 'config.json'), stringifySpec(spec));
  }

  async #prepareNetwork(published: readonly CNIPortMapping[]): Promise<void> {
    const { record, pending } = this.input;
    if (networksOf(record)) {
      const attach = await attachRequestOf(this.ctx, record, 0);
      pending.set(this.#id, { request: { ...attach, published } });
    } else if (record.request.publish.length > 0) {
      await this.ctx.ports.activate(this.#id, '');
    }
  }

  /** Makes the container, whose process waits to begin. */
  async #create(container: NamedCommand): Promise<void> {
    const { before } = this.input;
    // An earlier run may have left one of this id.
    if (before !== undefined && before.stack === this.ctx.stack) await this.#runtime.delete(this.#id);
    this.#undo.push(() => this.#endProcesses());
    await this.#step('create', () => this.#runMonitor(container));
  }

  async #runMonitor(container: NamedCommand): Promise<void> {
    const { files, warn } = this.ctx;
    const { id, name, request } = this.input.record;
    const pidFile = files.pidFile(id);
    rmSync(pidFile, { force: true });
    const output = await this.#runtime.create({
      id,
      container,
      bundle: files.bundle(id),
      pidFile,
      exitFile: files.exitFile(id),
      log: files.logFile(id),
      logOptions: request.log,
      stdin: request.stdin,
      keyring: request.bundle !== undefined || request.seccomp !== undefined,
      terminal: request.tty ? this.#size : undefined,
      record: (pid, monitor) => this.#recordProcess(pid, monitor),
    });
    for (const line of output.split('\n').filter((text) => text.trim() !== '')) {
      warn(`${this.#runtime.program}, for the container ${name}: ${line}`);
    }
  }

  async #recordProcess(pid: number, monitor: number): Promise<void> {
    const { stack, restarts, exitFile, cgroup } = this.#run;
    this.#run = {
      status: 'running',
      stack,
      restarts,
      exitFile,
      ...identityOf(pid),
      monitor: { pid: monitor, startTime: startTimeOf(monitor) },
      ...(cgroup === undefined ? {} : { cgroup }),
      started: new Date().toISOString(),
    };
    await this.#step('process', () => this.ctx.store.writeRun(this.#id, { ...this.#run, status: 'starting' }));
    const { pidFile } = this.input.record.request;
    if (pidFile !== undefined) write(pidFile, `${pid}\n`, 0o644);
  }

  /** Keeps everything where a process lives on: its addresses and its ports must not be given away. */
  async #endProcesses(): Promise<'keep' | undefined> {
    const { store, processes, warn } = this.ctx;
    await this.#runtime.delete(this.#id).catch((error: unknown) => warn(errorText(error)));
    const run = store.run(this.#id);
    await removePidFile(this.input.record.request.pidFile, run?.pid);
    if (!run) return undefined;
    try {
      await processes.end(run);
      return undefined;
    } catch (error) {
      warn(errorText(error));
      await store.writeRun(this.#id, { ...run, status: 'running' }).catch((also: unknown) => warn(errorText(also)));
      return 'keep';
    }
  }

  /** With the ports that were opened. */
  async #detach(): Promise<void> {
    await this.ctx.attacher.detach(this.#id, { addresses: false, own: true });
  }

  async #removeFiles(): Promise<void> {
    this.ctx.inputs.close(this.#id);
    await this.ctx.files.remove(this.#id);
  }

  async #restoreStatus(): Promise<void> {
    const { store, exits } = this.ctx;
    const { before } = this.input;
    try {
      await (before ? store.writeRun(this.#id, { ...before, status: 'exited' }) : store.forgetRun(this.#id));
    } finally {
      exits.notify(this.#id, undefined);
    }
  }

  #step<R>(step: Step<'start'>, task: () => Promise<R>): Promise<R> {
    return this.ctx.faults.step('start', step, task);
  }
}

/** Resolves with 'keep' where nothing more is to be undone. */
type Undo = () => Promise<unknown>;

/** How the last run went, without its processes and what was recorded for its restarts. */
function outcomeOf(run: RunRecord | undefined): Partial<RunRecord> {
  if (run === undefined) return {};
  const { pid: _, monitor: _monitor, cgroup: _cgroup, stopped: _stopped, failure: _failure, ...outcome } = run;
  return outcome;
}
