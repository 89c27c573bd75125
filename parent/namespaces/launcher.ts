/**
 * The parent's side of the launcher (native/src/launcher/main.c, which has the protocol): starts it, sends requests, and
 * receives how the command ended.
 */
import { getSystemErrorName } from 'node:util';
import { installationHint, LAUNCHER, native } from '../../native/index.js';
import { errnoText } from '../../protocol/errors/errno-text.js';
import { encodeArguments } from '../../protocol/text/argument-bytes.js';
import type { EngineHost, PacketChannel } from '../engine/engine-host.js';
import { CommandError, NamespaceError } from '../errors.js';
import { type ProgramEnd, startProgram } from '../programs/run-programs.js';
import { activationVariables, FIRST_FD, inheritedDescriptors } from '../systemd/listen-fds.js';
import { endOfChild } from './child-end.js';
import { explainUnshare } from './diagnose.js';
import { type IdMap, mapError, mapPrograms, writeIdMap } from './id-map.js';
import { inheritOrphans, killOrphans, userNamespaceOf } from './orphans.js';

/** Namespaces in addition to the user namespace, which is always created. */
export type Namespace = 'mnt' | 'net' | 'pid' | 'ipc' | 'uts' | 'cgroup';

/** Limits of a packet to the launcher. */
const MAX_BYTES = 64 * 1024;
/** From that size on the launcher does not read it (native/src/launcher/launcher.h). */
const MAX_PACKET = 192 * 1024;
/** Of a word, with the NUL after it (execve(2), MAX_ARG_STRLEN). */
const MAX_WORD = 128 * 1024;
const MAX_WORDS = 1000;

/** How long the launcher may take to end everything before it is killed, in ms. */
const END_TIMEOUT_MS = 500;

/** How the command ended. */
export type CommandResult = { code: number } | { signal: number };

/** A request that the launcher could not serve. */
export class LauncherRequestError extends Error {
  override name = 'LauncherRequestError';
  /**
   * @param code name of the errno, such as EPERM
   * @param what what was tried, such as `unshare` …
   * @param object … and with what, "" if there is nothing to name
   */
  constructor(
    readonly code: string,
    readonly what: string,
    readonly object = '',
  ) {
    super(`${what}${object === '' ? '' : ` ${object}`}: ${errnoText(code)}`);
  }
}

/** The launcher, and with it everything in the namespaces, was killed. */
export class LauncherEndedError extends NamespaceError {
  override name = 'LauncherEndedError';
  constructor() {
    super('the namespaces were ended from outside');
  }
}

/** A launcher that already runs as a child of this process; `control` is our end of its control socket. */
export interface StartedLauncher {
  pid: number;
  control: number;
  /** Names of the variables in its environment that this process was started with, too. */
  variables: readonly string[];
}

export interface LauncherOptions {
  engineHost: EngineHost;
  namespaces: readonly Namespace[];
  /** Called while the launcher starts. */
  planIdMap: () => Promise<IdMap>;
  /** Added to the environment of everything in the namespaces. */
  env: Readonly<Record<string, string>>;
  /** Otherwise one is started, and sockets that a service manager passed to this process are passed on to the command. */
  started?: StartedLauncher | undefined;
}

interface LauncherProcess {
  /** Our end of the control socket. */
  control: number;
  /** Undefined if it could not be started. */
  pid: number | undefined;
  ended: Promise<ProgramEnd>;
}

/** Takes over a launcher, which has already inherited the command's descriptors. */
function adopt({ pid, control }: StartedLauncher): LauncherProcess {
  native().closeOnExec(control);
  return { control, pid, ended: endOfChild(pid) };
}

/** Variables for this process alone, which it has removed from its environment (sd_notify(3)): also from the launcher's. */
function removedVariables(started: StartedLauncher | undefined): Record<string, undefined> {
  const names = started?.variables.filter((name) => process.env[name] === undefined) ?? [];
  return Object.fromEntries(names.map((name) => [name, undefined]));
}

function startLauncher(): LauncherProcess {
  const [ours, theirs] = native().socketpair();
  const inherited = inheritedDescriptors();
  const { child, ended } = startProgram(LAUNCHER, [String(FIRST_FD + inherited.length), String(process.pid)], {
    stdio: ['inherit', 'inherit', 'inherit', ...inherited, theirs],
  });
  native().closeFd(theirs);
  return { control: ours, pid: child.pid, ended };
}

export class Launcher {
  readonly #replies: { resolve: (words: string[]) => void; reject: (error: Error) => void }[] = [];
  readonly #results: ((result: CommandResult | undefined) => void)[] = [];
  #result: CommandResult | undefined;
  #over = false;
  /** Signals that were received before a listener was attached. */
  readonly #signals: number[] = [];
  #onSignal: (number: number) => void = (number) => void this.#signals.push(number);
  /** Gets the end of each program that the request `program` has started. */
  onProgramEnd: (pid: number, result: CommandResult) => void = () => {};
  #userNamespace = '';
  /** Process in all the child's namespaces, in the host's pid namespace. */
  pid = 0;

  private constructor(
    private readonly channel: PacketChannel,
    private readonly processId: number | undefined,
    private readonly process: Promise<ProgramEnd>,
  ) {
    channel.onMessage((data) => this.#onMessage(wordsOf(data)));
    channel.onClose(() => this.#onClosed());
  }

  /** Makes the namespaces and maps the ids. Throws NamespaceError; nothing is left then. */
  static async start({ engineHost, namespaces, planIdMap, env, started }: LauncherOptions): Promise<Launcher> {
    inheritOrphans();
    const { control, pid, ended } = started ? adopt(started) : startLauncher();
    const launcher = new Launcher(engineHost.open(control), pid, ended);
    const unshared = launcher.#reply();
    unshared.catch(() => {});
    try {
      const result = pid === undefined ? await ended : undefined;
      if (result) throw notStarted(result.problem);
      launcher.pid = await launcher.#map(pid ?? 0, await planIdMap(), namespaces, unshared);
      // Not awaited: requests are served in order, and the next one fails where the launcher is gone.
      launcher.#setEnvironment({ ...removedVariables(started), ...env, ...activationVariables() }).catch(() => {});
      launcher.#userNamespace = userNamespaceOf(launcher.pid);
      return launcher;
    } catch (error) {
      await launcher.kill();
      if (error instanceof LauncherRequestError) throw await explainUnshare(error);
      throw error;
    }
  }

  /** Resolves with the pid of a process that is in all the namespaces. Throws NamespaceError or LauncherRequestError. */
  async #map(pid: number, idMap: IdMap, namespaces: readonly Namespace[], unshared: Promise<unknown>): Promise<number> {
    const list = namespaces.join(',');
    if (idMap.kind !== 'sub-ids') {
      await unshared;
      await writeIdMap(pid, idMap);
      return Number((await this.request('mapped', list))[0]);
    }
    const programs = mapPrograms(pid, idMap);
    // Sent early, so that the launcher need not wait for it. Where it fails before, `unshared` rejects first.
    const mapping = this.request('map', list, ...programs[0], '', ...programs[1]);
    mapping.catch(() => {});
    await unshared;
    const [first = '', status, output = ''] = await mapping;
    if (status === undefined) return Number(first);
    throw mapError(programs[Number(first)] ?? [], Number(status), output);
  }

  /** Changes the environment of everything that is started; undefined variables are removed. */
  async #setEnvironment(variables: Readonly<Record<string, string | undefined>>): Promise<void> {
    const words = Object.entries(variables).map(([name, value]) => (value === undefined ? name : `${name}=${value}`));
    await this.request('environment', ...words);
  }

  /** Sends a request; resolves with the words of the reply. Throws LauncherRequestError. Requests are served in order. */
  async request(...words: string[]): Promise<string[]> {
    return this.#send(words, []);
  }

  /** Starts a program in the namespaces, with `fd` (which is closed here) as its descriptor 3. Resolves with its pid. */
  async startHelper(command: readonly string[], fd: number): Promise<number> {
    const [pid] = await this.#send(['start', ...command], [fd]);
    return Number(pid);
  }

  /** Like request(), with descriptors, which are closed here. */
  async requestWith(fds: number | number[], ...words: string[]): Promise<string[]> {
    return this.#send(words, [fds].flat());
  }

  /** Kills a helper, which may hang. Does nothing if it has ended. */
  async killHelper(pid: number): Promise<void> {
    try {
      await this.request('kill-helper', String(pid));
    } catch (error) {
      if (!(error instanceof LauncherRequestError)) throw error;
    }
  }

  /** Continues the launcher, which root inside can stop (SIGSTOP). */
  resume(): void {
    try {
      if (!this.#over && this.pid > 0) process.kill(this.pid, 'SIGCONT');
    } catch {
      // It has just ended.
    }
  }

  /** Has the command run under the filter of the port driver `bypass`; it sends its hello on `fd`, which is closed here. */
  async filterCommand(fd: number): Promise<void> {
    await this.#send(['bypass'], [fd]);
  }

  /** Has the command start with a socket, which is closed here, under a name (sd_listen_fds(3)). */
  async activate(fd: number, name: string): Promise<void> {
    await this.#send(['activate', name], [fd]);
  }

  /** Runs without a command. */
  async idle(): Promise<void> {
    await this.request('idle');
  }

  /** Starts the command. Throws CommandError. */
  async run(command: readonly string[]): Promise<void> {
    try {
      const parts = packets(command);
      for (const part of parts.slice(0, -1)) await this.request('more', ...part);
      await this.request('run', ...(parts.at(-1) ?? []));
    } catch (error) {
      throw error instanceof LauncherRequestError ? commandError(error, command) : error;
    }
  }

  /** How the command ended; undefined if the launcher itself was killed. */
  async wait(): Promise<CommandResult | undefined> {
    if (this.#result || this.#over) return this.#result;
    return new Promise((resolve) => this.#results.push(resolve));
  }

  /** Whether the command has ended, and everything below the launcher with it. */
  get ended(): boolean {
    return this.#over || this.#result !== undefined;
  }

  /** Calls back with each signal that is sent to the launcher while it has no command. */
  onSignal(listener: (number: number) => void): void {
    this.#onSignal = listener;
    for (const number of this.#signals.splice(0)) listener(number);
  }

  signal(number: number): void {
    if (!this.#over) this.channel.send(encodeArguments(['signal', String(number)]), []);
  }

  /**
   * Ends everything in the namespaces: when the socket is closed, the launcher kills the processes below it. Where it was
   * killed itself before, they are orphans that this process has inherited.
   */
  async kill(): Promise<void> {
    this.channel.close();
    this.#onClosed();
    // It may be stopped, or have too much to kill in that time: then the orphans are killed here.
    const timer = setTimeout(() => this.#killProcess(), END_TIMEOUT_MS);
    const { signal } = await this.process;
    clearTimeout(timer);
    if (signal !== undefined || this.#result === undefined) await killOrphans(this.#userNamespace);
  }

  #killProcess(): void {
    try {
      if (this.processId !== undefined) process.kill(this.processId, 'SIGKILL');
    } catch {
      // It has just ended.
    }
  }

  async #send(words: readonly string[], fds: number[]): Promise<string[]> {
    const packet = encodeArguments(words);
    const problem = this.#over
      ? new LauncherEndedError()
      : packet.length >= MAX_PACKET
        ? new LauncherRequestError('EMSGSIZE', words[0] ?? '')
        : undefined;
    if (problem) {
      for (const fd of fds) native().closeFd(fd);
      throw problem;
    }
    this.channel.send(packet, fds);
    return this.#reply();
  }

  #reply(): Promise<string[]> {
    return new Promise((resolve, reject) => this.#replies.push({ resolve, reject }));
  }

  #onMessage(words: string[]): void {
    const [first, ...rest] = words;
    if (first === 'signal') {
      this.#onSignal(Number(rest[0]));
      return;
    }
    if (first === 'program-ended') {
      this.onProgramEnd(Number(rest[0]), resultOf(rest[1], rest[2]));
      return;
    }
    if (first === 'exited' || first === 'signaled') {
      this.#result = resultOf(first, rest[0]);
      for (const resolve of this.#results.splice(0)) resolve(this.#result);
      return;
    }
    const waiting = this.#replies.shift();
    const error = refusalIn(words);
    if (error) waiting?.reject(error);
    else waiting?.resolve(rest);
  }

  #onClosed(): void {
    if (this.#over) return;
    this.#over = true;
    for (const { reject } of this.#replies.splice(0)) reject(new LauncherEndedError());
    for (const resolve of this.#results.splice(0)) resolve(this.#result);
  }
}

/** The words of a packet from the launcher. */
export function wordsOf(packet: Buffer): string[] {
  return packet.toString('utf8').split('\0').slice(0, -1);
}

/** The error that a reply of the launcher reports, if it is one. */
export function refusalIn([first, errno, what = '', object]: readonly string[]): LauncherRequestError | undefined {
  return first === 'error' ? new LauncherRequestError(errnoName(Number(errno)), what, object) : undefined;
}

function resultOf(how: string | undefined, number: string | undefined): CommandResult {
  return how === 'signaled' ? { signal: Number(number) } : { code: Number(number) };
}

function notStarted(problem: string): NamespaceError {
  if (problem.endsWith('ENOENT')) {
    return new NamespaceError(`cannot start ${LAUNCHER}: it does not exist; hint: ${installationHint()}`);
  }
  return new NamespaceError(`cannot start ${LAUNCHER}: ${errnoText(problem)}`);
}

/** Splits words into groups that fit a packet each. Throws LauncherRequestError as execve(2) would fail. */
export function packets(words: readonly string[]): string[][] {
  const groups: string[][] = [[]];
  let size = 0;
  for (const word of words) {
    const bytes = Buffer.byteLength(word) + 1;
    if (bytes > MAX_WORD) throw new LauncherRequestError('E2BIG', 'execve');
    if (size > 0 && (size + bytes > MAX_BYTES || (groups.at(-1)?.length ?? 0) >= MAX_WORDS)) {
      groups.push([]);
      size = 0;
    }
    groups.at(-1)?.push(word);
    size += bytes;
  }
  return groups;
}

/** The only relevant errno that Node has no name for. */
const ELIBACC = 79;

function errnoName(errno: number): string {
  if (errno === ELIBACC) return 'ELIBACC';
  try {
    return getSystemErrorName(-errno);
  } catch {
    return `errno ${errno}`;
  }
}

/** The error for a command that the launcher could not execute. */
export function commandError({ code }: LauncherRequestError, [name = '']: readonly string[]): CommandError {
  if (name === '') {
    return new CommandError('command-not-found', 'the command is empty: ""', { hint: 'check the quotes around it' });
  }
  if (code === 'ENOENT') {
    return new CommandError('command-not-found', `command not found: ${name}`, { hint: 'check its name, and PATH' });
  }
  return new CommandError('command-not-executable', `cannot execute ${name}: ${describe(code)}`);
}

/** Explains the errors of execve(2). */
function describe(code: string): string {
  const meanings: Record<string, string> = {
    EACCES:
      'permission denied; it is not executable (chmod +x), is a directory, or lies on a file system mounted noexec',
    ENOEXEC: 'it is neither a binary for this machine nor a script that begins with #!',
    ENOTDIR: 'a part of its path is not a directory',
    E2BIG: 'its arguments are too long',
    ELIBACC: 'its interpreter (the line that begins with #!) or its loader does not exist',
  };
  return meanings[code] ?? code;
}
