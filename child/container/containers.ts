/**
 * Containers: made, started, ended, removed.
 *
 * Theory of operation. created → starting → running → exited → starting …; `rm` from any but running. One task at a time
 * for each container, by its lock. start() opens the published ports, writes the name files and the OCI configuration, and
 * has the monitor run the OCI runtime, whose createRuntime hook comes back to us (hooks.ts) for the network. When the
 * container ends, its exit file appears, and onEnd() takes its network away. A container that nobody saw end, since its
 * monitor was killed, is found by its process being gone: after a start of ours, whenever somebody asks for it, and every
 * now and then.
 */
import type { ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { EventEmitter } from 'node:events';
import { existsSync, type FSWatcher, statSync, watch } from 'node:fs';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type {
  AttachmentRequest,
  ContainerNetwork,
  ContainerReport,
  ContainerRequest,
  ContainerStatus,
  PublishedPort,
  TerminalSize,
} from '../../protocol/containers.js';
import { errorText } from '../../protocol/error-text.js';
import type { HostFacts } from '../../protocol/messages.js';
import { RouteSocket } from '../netlink/route.js';
import { type Attachments, type AttachRequest, type AttachState, aliasesOf, interfaceOf } from './attachments.js';
import { ConflictError, ContainerError } from './errors.js';
import type { Faults, Step, Task } from './faults.js';
import type { ExtraHost } from './files/hosts.js';
import { containerResolvConf, hostResolvConf } from './files/resolv-conf.js';
import { KeyedLock } from './lock.js';
import type { Names } from './names.js';
import { OCIRuntime, startTimeOf } from './oci-runtime.js';
import { bundleCommand, makeSpec } from './oci-spec.js';
import type { PeerBook } from './peer-book.js';
import type { Ports } from './ports.js';
import type { ContainerRecord, Records, RunRecord } from './records.js';
import { namesIn, readJSON, readText, remove, writeJSON, writeWhole } from './state-files.js';
import { INITIAL_SIZE, Terminal } from './terminal.js';

export interface ContainerDirectories {
  stateDir: string;
  agentSocket: string;
}

export interface StartOptions {
  /** Called when everything is there, but its program. */
  beforeRun?: (record: ContainerRecord) => void;
  /** Of its terminal, at first. */
  size?: TerminalSize | undefined;
}

/** How long a container that is told to end may take, in ms, unless the caller says. */
export const STOP_TIMEOUT = 10_000;
/** Key of the lock for making and naming; ids are longer. */
const NAMING = 'naming';
/** How long the kernel may take after SIGKILL, in ms. */
const KILL_TIMEOUT = 20_000;
/** How often it is looked for containers whose end nobody told of, in ms. */
const LOOK_INTERVAL = 2_000;

export class Containers {
  readonly #locks = new KeyedLock();
  /** Those whose start or end is under way; their hooks belong to it. */
  readonly #busy = new Set<string>();
  readonly #starting = new Map<string, { request: AttachRequest; state?: AttachState; failure?: unknown }>();
  readonly #terminals = new Map<string, Terminal>();
  readonly #stdins = new Map<string, NonNullable<ChildProcess['stdin']>>();
  #execs = 0;
  readonly #ended = new EventEmitter().setMaxListeners(0);
  #watcher: FSWatcher | undefined;
  #looking: NodeJS.Timeout | undefined;
  #closing = false;

  constructor(
    private readonly stack: string,
    private readonly directories: ContainerDirectories,
    readonly records: Records,
    private readonly names: Names,
    private readonly attachments: Attachments,
    private readonly peers: PeerBook,
    private readonly ports: Ports,
    private readonly facts: () => Promise<HostFacts>,
    private readonly faults: Faults,
    private readonly warn: (line: string) => void,
  ) {}

  /** Finds out what an earlier run has left, finishes or takes it back, and watches from then on. */
  async recover(): Promise<void> {
    const exits = this.#exits();
    await mkdir(exits, { recursive: true, mode: 0o700 });
    this.#watcher = watch(exits, (_, name) => {
      if (name && !name.endsWith('.new') && this.records.get(name)) this.#look(name);
    });
    this.#looking = setInterval(() => void this.#lookForDead(), LOOK_INTERVAL).unref();
    for (const name of await this.strayNames()) await this.names.drop(name);
    for (const record of this.records.all()) {
      await this.names.acquire(record.name, record.id).catch((error: unknown) => this.warn(errorText(error)));
    }
    for (const record of this.records.all()) {
      await this.exclusively(record.id, () => this.#recoverOne(record)).catch((error: unknown) =>
        this.warn(`cannot clear up after ${record.name}: ${errorText(error)}`),
      );
    }
    const inUse = (id: string) => this.records.run(id)?.status === 'running';
    for (const directory of [join(this.directories.stateDir, 'containers'), exits]) {
      for (const name of await namesIn(directory)) if (!inUse(name)) await remove(join(directory, name));
    }
  }

  async #recoverOne(record: ContainerRecord): Promise<void> {
    const run = this.records.run(record.id);
    if (run?.status === 'exited' && record.request.autoRemove) await this.#remove(record, { force: true });
    if (run === undefined || run.status === 'exited') return;
    if (run.status === 'running' && (await this.#lives(run))) {
      if (!record.request.tty && (await this.#isWhole(record))) return;
      const why = record.request.tty ? 'its terminal was lost with the agent' : 'what is known of its network is torn';
      this.warn(`the container ${record.name} is ended, since ${why}`);
    }
    await this.#clear(record, run);
  }

  /** Names that no container has. */
  strayNames(): Promise<string[]> {
    return this.names.stale((name, id) => this.records.get(id)?.name === name || this.records.broken().includes(id));
  }

  /** Runs the task while a container is not started; not at all where it runs. */
  whileStopped(id: string, task: () => Promise<void>): Promise<void> {
    return this.#locks.run(id, async () => {
      const status = this.records.run(id)?.status;
      if (status !== 'running' && status !== 'starting') await task();
    });
  }

  /** Runs the task while no container is made or given another name. */
  whileNamed<T>(task: () => Promise<T>): Promise<T> {
    return this.#locks.run(NAMING, task);
  }

  close(): void {
    this.#watcher?.close();
    clearInterval(this.#looking);
  }

  async create(request: ContainerRequest): Promise<ContainerRecord> {
    const id = randomBytes(32).toString('hex');
    const directory = request.rootfs ?? request.bundle ?? '';
    if (!statSync(directory, { throwIfNoEntry: false })?.isDirectory()) {
      throw new ContainerError(
        `${directory} is no directory; ${request.rootfs ? 'a root file system' : 'an OCI bundle'} has to be there`,
      );
    }
    if (request.bundle !== undefined && request.command === undefined) await bundleCommand(request.bundle);
    // Refused now rather than at the start.
    const network = await this.#withLastingNames(request.network);
    const name = request.name ?? id.slice(0, 12);
    const hostname = request.hostname ?? (await this.#hostnameFor(network)) ?? id.slice(0, 12);
    await mkdir(this.records.directoryOf(id), { recursive: true, mode: 0o755 });
    const record = { id, name, hostname, created: new Date().toISOString(), request: { ...request, network } };
    try {
      await this.whileNamed(async () => {
        await this.#step('create', 'name', () => this.names.acquire(name, id));
        await this.#step('create', 'files', () => this.#writeNameFiles(record));
        await this.#step('create', 'record', () => this.records.write(record));
      });
      return record;
    } catch (error) {
      await this.names.release(name, id);
      await this.records.remove(id);
      throw error;
    }
  }

  /** Does nothing where it runs already. Throws ContainerError; it is then as it was before. */
  start(text: string, options: StartOptions = {}): Promise<ContainerRecord> {
    const { id } = this.records.find(text);
    return this.exclusively(id, async () => {
      if (this.#closing) throw new ConflictError('the stack is ending');
      const record = this.records.find(id);
      await this.#notice(record);
      if (this.records.run(id)?.status !== 'running') await this.#start(record, options);
      return record;
    });
  }

  /** Ends it: SIGTERM, and SIGKILL after a while. Does nothing where it does not run. */
  stop(text: string, timeout = STOP_TIMEOUT): Promise<ContainerRecord> {
    const record = this.records.find(text);
    return this.exclusively(record.id, async () => {
      await this.#notice(record);
      const run = this.records.run(record.id);
      if (run?.status === 'running') await this.#end(record, run, timeout);
      return record;
    });
  }

  /** Throws ConflictError where it does not run. */
  async kill(text: string, signal: NodeJS.Signals): Promise<ContainerRecord> {
    const record = this.records.find(text);
    const run = this.records.run(record.id);
    if (run?.status !== 'running' || run.pid === undefined || !(await this.#lives(run))) {
      throw new ConflictError(`the container ${record.name} is not running`);
    }
    try {
      process.kill(run.pid, signal);
    } catch (error) {
      // It has ended just now.
      throw new ConflictError(`cannot send ${signal} to the container ${record.name}: ${errorText(error)}`);
    }
    return record;
  }

  /** Throws ConflictError where it runs, unless it is to be killed. */
  remove(text: string, { force }: { force: boolean }): Promise<ContainerRecord> {
    const record = this.records.find(text);
    return this.exclusively(record.id, async () => {
      await this.#notice(record);
      const run = this.records.run(record.id);
      if (run?.status === 'running') {
        if (!force)
          throw new ConflictError(`the container ${record.name} is running; stop it first, or use rm --force`);
        await this.#end(record, run, 0);
      }
      const left = this.records.get(record.id);
      if (left) {
        const code = this.records.run(left.id)?.exitCode;
        await this.#remove(left, { force });
        // Somebody may wait for one that was never started.
        this.#ended.emit(left.id, code);
      }
      return record;
    });
  }

  /** Throws ConflictError where the name belongs to another. */
  rename(text: string, name: string): Promise<ContainerRecord> {
    const { id } = this.records.find(text);
    return this.exclusively(id, async () => {
      const before = this.records.find(id);
      if (before.name === name) return before;
      const record = { ...before, name };
      await this.whileNamed(async () => {
        try {
          await this.#step('rename', 'name', () => this.names.acquire(name, id));
          await this.#step('rename', 'record', () => this.records.write(record));
        } finally {
          // The record says which of them it has.
          const other = this.records.find(id).name === name ? before.name : name;
          await this.#step('rename', 'old-name', () => this.names.release(other, id));
        }
      });
      const run = this.records.run(id);
      if (run?.status === 'running' && this.#networksOf(record)) {
        await this.#step('rename', 'peers', () => this.#introduce(record));
      }
      return record;
    });
  }

  /** Tells the peers of a container that runs of its name. */
  introduce(id: string): Promise<void> {
    return this.exclusively(id, async () => {
      if (this.records.run(id)?.status === 'running') await this.#introduce(this.records.find(id));
    });
  }

  async #introduce(record: ContainerRecord): Promise<void> {
    const state = await this.attachments.state(record.id);
    const attach = await this.#attachRequest(record, this.records.run(record.id)?.pid ?? 0);
    await this.peers.join({ ...attach, state, aliases: aliasesOf(attach.networks) });
  }

  async connect(text: string, asked: AttachmentRequest): Promise<AttachState> {
    const { id } = this.records.find(text);
    return this.exclusively(id, async () => {
      const record = this.records.find(id);
      const networks = this.#networksOf(record);
      if (!networks)
        throw new ConflictError(
          `the container ${record.name} is on no networks of its own (--network=${record.request.network.mode})`,
        );
      const [resolved] = await this.attachments.resolve([asked]);
      const network = resolved?.network.name ?? asked.network;
      if (networks.some((entry) => entry.network === network)) {
        throw new ConflictError(`the container ${record.name} is on the network ${network} already`);
      }
      const taken = networks.map(interfaceOf);
      const free = [...taken, ''].findIndex((_, index) => !taken.includes(`eth${index}`));
      const next = withNetworks(record, [...networks, { ...asked, network, interface: `eth${free}` }]);
      const run = this.records.run(id);
      const state =
        run?.status === 'running'
          ? await this.attachments.connect(await this.#attachRequest(next, run.pid ?? 0))
          : await this.attachments.state(id);
      await this.records.write(next);
      return state;
    });
  }

  async disconnect(text: string, name: string): Promise<AttachState> {
    const { id } = this.records.find(text);
    return this.exclusively(id, async () => {
      const record = this.records.find(id);
      const networks = this.#networksOf(record) ?? [];
      const [wanted] = await this.attachments.resolve([{ network: name }]);
      const left = networks.filter(({ network }) => network !== wanted?.network.name);
      if (!wanted || left.length === networks.length) {
        throw new ConflictError(`the container ${record.name} is not on the network ${name}`);
      }
      if (left.length === 0)
        throw new ConflictError(`${name} is the only network of ${record.name}; connect it to another one first`);
      const next = withNetworks(record, left);
      const run = this.records.run(id);
      let state: AttachState;
      if (run?.status === 'running') {
        state = await this.attachments.disconnect(await this.#attachRequest(next, run.pid ?? 0), wanted.network);
      } else {
        await this.attachments.release(id, wanted.network.name);
        state = await this.attachments.state(id);
      }
      await this.records.write(next);
      return state;
    });
  }

  async report(record: ContainerRecord): Promise<ContainerReport> {
    const { id } = record;
    if (!this.#busy.has(id)) await this.exclusively(id, () => this.#notice(record)).catch(() => {});
    const run = this.records.run(id);
    const running = run?.status === 'running';
    const state = running ? await this.attachments.state(id) : { ports: [], attachments: [], results: {} };
    const status: ContainerStatus = running ? 'running' : run?.status === 'exited' ? 'exited' : 'created';
    return {
      id,
      name: record.name,
      status,
      ...(running && run.pid !== undefined ? { pid: run.pid } : {}),
      ...(run?.exitCode === undefined || running ? {} : { exitCode: run.exitCode }),
      created: record.created,
      ...(run?.started === undefined ? {} : { started: run.started }),
      ...(run?.finished === undefined || running ? {} : { finished: run.finished }),
      hostname: record.hostname,
      ports: running ? await this.#publishedOf(record, state) : [],
      attachments: state.attachments,
      results: state.results,
      request: record.request,
      directory: this.records.directoryOf(id),
    };
  }

  /** The container's terminal, while it runs in one. */
  terminal(id: string): Terminal | undefined {
    return this.#terminals.get(id);
  }

  /** The container's standard input, where it is the agent's to write. */
  stdin(id: string): NonNullable<ChildProcess['stdin']> | undefined {
    return this.#stdins.get(id);
  }

  /** A new one, for a program that is run in a container. */
  execPidFile(id: string): string {
    return join(this.#runDirectory(id), `exec-${this.#execs++}.pid`);
  }

  logFiles(id: string): { stdout: string; stderr: string } {
    const directory = this.records.directoryOf(id);
    return { stdout: join(directory, 'stdout.log'), stderr: join(directory, 'stderr.log') };
  }

  /** Resolves with the exit code when the container does not run (any more); undefined where nobody saw it. */
  async wait(id: string): Promise<number | undefined> {
    for (;;) {
      const record = this.records.get(id);
      const run = this.records.run(id);
      if (!record || !run || run.status === 'exited') {
        // It may be about to be removed.
        if (record?.request.autoRemove) await this.settled(id);
        return run?.exitCode;
      }
      const code = await new Promise<number | undefined>((resolve) => {
        this.onceEnded(id, resolve);
      });
      // It may have been removed at once.
      if (!this.records.get(id)) return code;
    }
  }

  /**
   * Calls back with the exit code, once, when the container has ended and is removed, where it is to be. Returns what
   * gives that up.
   */
  onceEnded(id: string, listener: (code: number | undefined) => void): () => void {
    this.#ended.once(id, listener);
    return () => this.#ended.off(id, listener);
  }

  /** Resolves when what is being done with a container is done, such as its removal at its end. */
  settled(id: string): Promise<void> {
    return this.#locks.run(id, async () => {});
  }

  /** What the program of a container that runs found in its environment. */
  async environmentOf(id: string): Promise<string[]> {
    const spec = (await readJSON(join(this.#runDirectory(id), 'bundle', 'config.json'))) as {
      process?: { env?: string[] };
    };
    return spec?.process?.env ?? [];
  }

  /** The runtime that a container is run with. */
  runtimeOf(record: ContainerRecord): OCIRuntime {
    return new OCIRuntime(record.request.runtime, join(this.directories.stateDir, 'oci'));
  }

  /** Ends all, at the end of the stack; none is started any more. */
  async stopAll(): Promise<void> {
    this.#closing = true;
    await Promise.all(
      this.records.all().map(({ id }) => this.stop(id).catch((error: unknown) => this.warn(errorText(error)))),
    );
  }

  /** The createRuntime hook of a container of ours. Throws ContainerError. */
  async onCreateRuntime(id: string, pid: number): Promise<void> {
    const starting = this.#starting.get(id);
    if (!starting)
      throw new ConflictError(`the container ${id.slice(0, 12)} is to be started with: rootless-net start`);
    try {
      starting.state = await this.attachments.attach({ ...starting.request, pid, netns: `/proc/${pid}/ns/net` });
    } catch (error) {
      starting.failure = error;
      throw error;
    }
  }

  /** The poststop hook of a container of ours: whoever has started or ended it goes on himself. */
  async onPoststop(id: string): Promise<void> {
    if (!this.#busy.has(id)) this.#look(id);
  }

  /** Whether anything of a container should be on networks now. */
  isAttached(id: string): boolean {
    const status = this.records.run(id)?.status;
    return status === 'running' || status === 'starting' || this.#busy.has(id);
  }

  // --- starting

  async #start(record: ContainerRecord, { beforeRun, size = INITIAL_SIZE }: StartOptions): Promise<void> {
    const { id, request } = record;
    const before = this.records.run(id);
    const networks = this.#networksOf(record);
    const step = <T>(what: Step<'start'>, task: () => Promise<T>) => this.#step('start', what, task);
    try {
      const published = await step('ports', async () =>
        request.publish.length > 0 ? this.ports.reserve(id, request.publish) : [],
      );
      await step('status', () => this.records.writeRun(id, { ...before, status: 'starting', stack: this.stack }));
      await step('files', async () => {
        await this.#writeNameFiles(record);
        await this.#writeNetworkConfig(id, published);
      });
      const bundle = join(this.#runDirectory(id), 'bundle');
      const netns = await this.#netns(record);
      const spec = await makeSpec({
        id,
        request,
        hostname: record.hostname,
        nameFiles: this.#nameFiles(record),
        netns,
        hooks: networks !== undefined,
        agentSocket: this.directories.agentSocket,
        size,
      });
      await step('bundle', async () => {
        await mkdir(bundle, { recursive: true, mode: 0o700 });
        await writeFile(join(bundle, 'config.json'), JSON.stringify(spec), { mode: 0o600 });
      });
      if (networks) {
        const attach = await this.#attachRequest(record, 0);
        this.#starting.set(id, { request: { ...attach, published } });
      } else if (request.publish.length > 0) {
        await this.ports.activate(id, '');
      }
      // A container of this id may be left by a run before.
      const runtime = this.runtimeOf(record);
      if (before !== undefined && before.stack === this.stack) await runtime.delete(id);
      await rm(this.#exitFile(id), { force: true });
      const pid = await step('create', () => this.#launch(record, runtime, bundle, size));
      const run = { pid, startTime: await startTimeOf(pid), started: new Date().toISOString() };
      beforeRun?.(record);
      await step('run', async () => (request.tty ? undefined : runtime.start(id)));
      // Not before: one that is left waiting by a crash would count as running.
      await step('running', () => this.records.writeRun(id, { status: 'running', stack: this.stack, ...run }));
      await this.#pickUp(id);
    } catch (error) {
      const cause = this.#starting.get(id)?.failure ?? error;
      await this.#takeBack(record, before);
      throw cause instanceof ContainerError
        ? cause
        : new ContainerError(`cannot start ${record.name}: ${errorText(cause)}`, 500);
    } finally {
      this.#starting.delete(id);
    }
  }

  /** Resolves with the process id of a container that waits to be started, or runs, where it has a terminal. */
  async #launch(record: ContainerRecord, runtime: OCIRuntime, bundle: string, size: TerminalSize): Promise<number> {
    const { id, request } = record;
    const pidFile = join(this.#runDirectory(id), 'pid');
    await rm(pidFile, { force: true });
    if (request.tty) {
      const terminal = await Terminal.open(runtime.runCommand(id, bundle, pidFile), size);
      this.#terminals.set(id, terminal);
      terminal.onExit((code) => {
        // Where the start was taken back nobody wants to know.
        if (this.#terminals.get(id) !== terminal) return;
        // Whole from the beginning, since its coming is watched for.
        writeWhole(this.#exitFile(id), `${code}\n`).catch((error: unknown) => this.warn(errorText(error)));
      });
      return await terminal.pidOf(pidFile, (said) => runtime.failure('run', id, said));
    }
    const { stdout, stderr } = this.logFiles(id);
    const stdin = request.stdin ? 'pipe' : 'ignore';
    const { pid, monitor } = await runtime.create({
      id,
      bundle,
      pidFile,
      exitFile: this.#exitFile(id),
      stdin,
      stdout,
      stderr,
    });
    if (monitor.stdin) {
      monitor.stdin.on('error', () => {});
      this.#stdins.set(id, monitor.stdin);
    }
    return pid;
  }

  /** After a start that failed. */
  async #takeBack(record: ContainerRecord, before: RunRecord | undefined): Promise<void> {
    const { id } = record;
    const attempt = (task: Promise<unknown>) => task.catch((error: unknown) => this.warn(errorText(error)));
    this.#hangUp(id);
    await attempt(this.runtimeOf(record).delete(id));
    await attempt(this.attachments.detach(id, { addresses: false }));
    this.#stdins.delete(id);
    await attempt(remove(this.#runDirectory(id)));
    await attempt(rm(this.#exitFile(id), { force: true }));
    await attempt(before ? this.records.writeRun(id, { ...before, status: 'exited' }) : this.records.forgetRun(id));
    this.#ended.emit(id, undefined);
  }

  #hangUp(id: string): void {
    const terminal = this.#terminals.get(id);
    this.#terminals.delete(id);
    terminal?.end();
  }

  // --- ending

  async #end(record: ContainerRecord, run: RunRecord, timeout: number): Promise<void> {
    const { id } = record;
    const { pid } = run;
    const gone = (limit: number) => this.#untilGone(id, run, limit);
    if (pid !== undefined && timeout > 0) {
      signal(pid, 'SIGTERM');
      if (await gone(timeout)) return this.#onEnd(record);
    }
    if (pid !== undefined) signal(pid, 'SIGKILL');
    if (!(await gone(KILL_TIMEOUT)))
      throw new ContainerError(`the container ${record.name} does not end, not even by SIGKILL`, 500);
    await this.#onEnd(record);
  }

  /** Whether the container has ended within so many ms. Its exit file may come a moment after its end. */
  async #untilGone(id: string, run: RunRecord, limit: number): Promise<boolean> {
    const deadline = performance.now() + limit;
    for (let pause = 2; ; pause = Math.min(pause * 2, 50)) {
      if (existsSync(this.#exitFile(id))) return true;
      if (!(await this.#lives(run))) {
        for (let i = 0; i < 20 && !existsSync(this.#exitFile(id)); i++) await delay(10);
        return true;
      }
      if (performance.now() > deadline) return false;
      await delay(pause);
    }
  }

  /** Looks after a container whose exit file has appeared, or that may have ended. */
  #look(id: string): void {
    this.exclusively(id, async () => {
      const record = this.records.get(id);
      if (record) await this.#notice(record);
    }).catch((error: unknown) => {
      this.warn(`cannot clear up after ${id.slice(0, 12)}: ${errorText(error)}`);
    });
  }

  async #lookForDead(): Promise<void> {
    for (const { id } of this.records.all()) {
      const run = this.records.run(id);
      if (run?.status === 'running' && !this.#busy.has(id) && !(await this.#lives(run))) this.#look(id);
    }
  }

  async #pickUp(id: string): Promise<void> {
    const record = this.records.get(id);
    if (record && existsSync(this.#exitFile(id)) && this.records.run(id)?.status === 'running')
      await this.#onEnd(record);
  }

  /** Finds out whether a container that should run still does. */
  async #notice(record: ContainerRecord): Promise<void> {
    const run = this.records.run(record.id);
    if (run?.status === 'exited' && existsSync(this.#exitFile(record.id))) await this.#removeFiles(record.id);
    if (run?.status !== 'running') return;
    if (!existsSync(this.#exitFile(record.id)) && (await this.#lives(run))) return;
    await this.#untilGone(record.id, run, 0);
    await this.#onEnd(record);
  }

  async #onEnd(record: ContainerRecord): Promise<void> {
    const run = this.records.run(record.id);
    if (run) await this.#clear(record, run);
  }

  /** Takes away what a run has left, and records its end. */
  async #clear(record: ContainerRecord, run: RunRecord): Promise<void> {
    const { id } = record;
    const text = await readText(this.#exitFile(id));
    const code = text === undefined ? undefined : Number(text);
    const step = <T>(what: Step<'end'>, task: () => Promise<T>) => this.#step('end', what, task);
    if (run.stack === this.stack) await step('delete', () => this.runtimeOf(record).delete(id));
    // It has ended, whatever is left: the journal knows of that, and the next start, rm and gc try again.
    await step('detach', () => this.attachments.detach(id, { addresses: false })).catch((error: unknown) => {
      this.warn(`cannot take ${record.name} off its networks, which gc may do later: ${errorText(error)}`);
    });
    this.#hangUp(id);
    this.#stdins.delete(id);
    const { exitCode: _, ...rest } = run;
    const finished = new Date().toISOString();
    await step('status', () =>
      this.records.writeRun(id, {
        ...rest,
        status: 'exited',
        finished,
        ...(code === undefined ? {} : { exitCode: code }),
      }),
    );
    try {
      await step('files', () => this.#removeFiles(id));
      if (record.request.autoRemove) await this.#remove(record, { force: true });
    } finally {
      this.#ended.emit(id, code);
    }
  }

  /** Those of a run that has ended; the exit file goes last, so that it tells whether something is left. */
  async #removeFiles(id: string): Promise<void> {
    await remove(this.#runDirectory(id));
    await rm(this.#exitFile(id), { force: true });
  }

  /** With `force` also where its networks cannot be taken away; the journal knows of them then, and gc tries again. */
  async #remove(record: ContainerRecord, { force }: { force: boolean }): Promise<void> {
    const { id, name } = record;
    const step = <T>(what: Step<'remove'>, task: () => Promise<T>) => this.#step('remove', what, task);
    await step('detach', () => this.attachments.detach(id, { addresses: true })).catch((error: unknown) => {
      const problem = `cannot take ${name} off its networks: ${errorText(error)}`;
      if (!force) throw new ContainerError(`${problem}; rm --force removes it all the same`, 500);
      this.warn(`${problem}; gc may do it later`);
    });
    // Its record may know less than a crash has left.
    await step('addresses', () => this.attachments.release(id));
    await step('record', () => this.records.remove(id));
    await step('name', () => this.names.release(name, id));
  }

  // --- files

  async #writeNameFiles(record: ContainerRecord): Promise<void> {
    const { id, request, hostname } = record;
    const { network } = request;
    if (network.mode === 'container') return;
    const facts = await this.facts();
    // A user-mode network has resolvers of its own because nothing in its namespace reaches the host's loopback.
    const ownLoopback =
      network.mode === 'networks' || network.mode === 'ns' || (network.mode === 'host' && facts.dns.length > 0);
    const resolvConf = containerResolvConf({
      mode: ownLoopback ? 'bridge' : network.mode === 'host' ? 'host' : 'none',
      host: hostResolvConf(facts.resolvConf, facts.resolvedConf),
      fallback: facts.dns,
      dns: request.dns,
      search: request.dnsSearch,
      options: request.dnsOptions,
    });
    const directory = this.records.directoryOf(id);
    const write = (name: string, text: string) => writeFile(join(directory, name), text, { mode: 0o644 });
    await write('resolv.conf', resolvConf);
    await write('hostname', `${hostname}\n`);
    if (!existsSync(join(directory, 'hosts'))) {
      await write('hosts', network.mode === 'host' ? ((await readText('/etc/hosts')) ?? '') : '');
    }
    await this.peers.prepare(id, this.#extraHosts(record, facts), []);
  }

  #extraHosts({ request }: ContainerRecord, facts: HostFacts): ExtraHost[] {
    return request.addHosts.map(({ host, ip }) => {
      if (ip !== 'host-gateway') return { host, ip };
      if (facts.hostGatewayIP === '') throw new ContainerError(`the host has no address for host-gateway of ${host}`);
      return { host, ip: facts.hostGatewayIP };
    });
  }

  /** As nerdctl has it. */
  async #writeNetworkConfig(id: string, published: readonly PublishedPort[]): Promise<void> {
    const portMappings = published.map(({ hostIP, hostPort, containerPort, protocol }) => ({
      HostPort: hostPort,
      ContainerPort: containerPort,
      Protocol: protocol,
      HostIP: hostIP,
    }));
    await writeJSON(join(this.records.directoryOf(id), 'network-config.json'), { portMappings }, 0o644);
  }

  async #publishedOf({ id, request }: ContainerRecord, state: AttachState): Promise<PublishedPort[]> {
    if (state.ports.length > 0 || request.publish.length === 0) return state.ports;
    const config = (await readJSON(join(this.records.directoryOf(id), 'network-config.json'))) as {
      portMappings?: { HostPort: number; ContainerPort: number; Protocol: 'tcp' | 'udp'; HostIP: string }[];
    } | null;
    const mappings = Array.isArray(config?.portMappings) ? config.portMappings : [];
    return mappings.map(({ HostPort, ContainerPort, Protocol, HostIP }) => ({
      hostIP: HostIP,
      hostPort: HostPort,
      containerPort: ContainerPort,
      protocol: Protocol,
    }));
  }

  // --- what a container asked for

  /**
   * The same by names that stay: those of the networks, with the interface for each, and the id of a container. Throws
   * ContainerError where there is no such thing.
   */
  async #withLastingNames(network: ContainerNetwork): Promise<ContainerNetwork> {
    switch (network.mode) {
      case 'networks': {
        const resolved = await this.attachments.resolve(network.networks);
        const networks = resolved.map(({ request, network: { name } }, index) => ({
          ...request,
          network: name,
          interface: `eth${index}`,
        }));
        return { mode: 'networks', networks };
      }
      case 'container':
        return { mode: 'container', container: this.records.find(network.container).id };
      case 'ns':
        checkNetns(network.path);
        return network;
      default:
        return network;
    }
  }

  /** The host name of those whose network it shares: their name files say it. Undefined where it has one of its own. */
  async #hostnameFor(network: ContainerNetwork): Promise<string | undefined> {
    if (network.mode === 'host') return (await this.facts()).hostname;
    return network.mode === 'container' ? this.records.find(network.container).hostname : undefined;
  }

  /** The networks that it wants to be on; undefined where it is on none of its own. */
  #networksOf({ request }: ContainerRecord): AttachmentRequest[] | undefined {
    return request.network.mode === 'networks' ? request.network.networks : undefined;
  }

  async #netns({ request }: ContainerRecord): Promise<string | undefined> {
    const { network } = request;
    switch (network.mode) {
      case 'host':
        return undefined;
      case 'ns':
        return network.path;
      case 'container': {
        const target = this.records.get(network.container);
        if (!target) {
          throw new ConflictError(
            `the container ${network.container.slice(0, 12)}, whose network is asked for, has been removed`,
          );
        }
        const run = this.records.run(target.id);
        if (run?.status !== 'running' || !(await this.#lives(run))) {
          throw new ConflictError(
            `the container ${target.name}, whose network is asked for, is not running; start it first`,
          );
        }
        return `/proc/${run.pid}/ns/net`;
      }
      default:
        return '';
    }
  }

  /** Directory of the files with names that it sees: those of the container whose network it shares in the end. */
  #nameFiles({ id, request: { network } }: ContainerRecord): string {
    if (network.mode !== 'container') return this.records.directoryOf(id);
    return this.#nameFiles(this.records.find(network.container));
  }

  async #attachRequest(record: ContainerRecord, pid: number): Promise<AttachRequest> {
    const { id, name, hostname, request } = record;
    return {
      id,
      own: true,
      name,
      hostname,
      domainname: request.domainname,
      extraHosts: this.#extraHosts(record, await this.facts()),
      netns: pid === 0 ? '' : `/proc/${pid}/ns/net`,
      pid,
      networks: this.#networksOf(record) ?? [],
      publish: request.publish,
    };
  }

  async #lives({ pid, startTime, stack }: RunRecord): Promise<boolean> {
    return stack === this.stack && pid !== undefined && startTime !== '' && (await startTimeOf(pid)) === startTime;
  }

  /** Whether its network is as it should be: set up to the end, or none of its own. */
  async #isWhole(record: ContainerRecord): Promise<boolean> {
    return !this.#networksOf(record) || this.attachments.isWhole(record.id);
  }

  #step<T extends Task, R>(task: T, step: Step<T>, run: () => Promise<R>): Promise<R> {
    return this.faults.step(task, step, run);
  }

  /** Runs a task while nobody else starts or ends the container, or changes its networks. */
  exclusively<T>(id: string, task: () => Promise<T>): Promise<T> {
    return this.#locks.run(id, async () => {
      this.#busy.add(id);
      try {
        return await task();
      } finally {
        this.#busy.delete(id);
      }
    });
  }

  #runDirectory(id: string): string {
    return join(this.directories.stateDir, 'containers', id);
  }

  #exits(): string {
    return join(this.directories.stateDir, 'exits');
  }

  #exitFile(id: string): string {
    return join(this.#exits(), id);
  }
}

/** Throws ContainerError where there is no network namespace at that path, or none that is ours to enter. */
function checkNetns(path: string): void {
  if (!existsSync(path)) throw new ContainerError(`there is no network namespace at ${path}`);
  try {
    new RouteSocket(path)[Symbol.dispose]();
  } catch (error) {
    throw new ContainerError(`cannot use ${path} as a network namespace: ${errorText(error)}`);
  }
}

function withNetworks(record: ContainerRecord, networks: AttachmentRequest[]): ContainerRecord {
  return { ...record, request: { ...record.request, network: { mode: 'networks', networks } } };
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch {
    // It has ended by itself.
  }
}
