/**
 * The parent's side of native/src/launcher.c: starts it, and gives it orders. See there for the conversation.
 */
import { getSystemErrorName } from 'node:util';
import { LAUNCHER, native } from '../../native/index.js';
import type { Channels, PacketChannel } from '../channels.js';
import { CommandError, NamespaceError } from '../errors.js';
import { type ProgramEnd, startProgram } from '../programs.js';
import { explainUnshare } from './diagnose.js';
import { type IdMap, mapError, mapPrograms, writeIdMap } from './id-map.js';
import { activation, FIRST_FD, inheritedDescriptors } from './inherited.js';
import { inheritOrphans, killOrphans, userNamespaceOf } from './orphans.js';

export type Namespace = 'user' | 'mnt' | 'net' | 'pid' | 'ipc' | 'uts' | 'cgroup';

/** Of a packet to the launcher. */
const MAX_BYTES = 64 * 1024;
const MAX_WORDS = 1000;

/** How the command ended. */
export type CommandResult = { code: number } | { signal: number };

/** An order that the launcher could not carry out. */
export class OrderError extends Error {
  override name = 'OrderError';
  constructor(
    /** Name of the errno, such as EPERM. */
    readonly code: string,
    /** What was tried, such as `unshare` … */
    readonly what: string,
    /** … and with what, "" where there is nothing to name. */
    readonly object = '',
  ) {
    super(`${what}${object === '' ? '' : ` ${object}`}: ${code}`);
  }
}

export class Launcher {
  readonly #replies: { resolve: (words: string[]) => void; reject: (error: Error) => void }[] = [];
  readonly #results: ((result: CommandResult | undefined) => void)[] = [];
  #result: CommandResult | undefined;
  #over = false;
  #userNamespace = '';
  /** Process in all the child's namespaces, as the host counts. */
  pid = 0;

  private constructor(
    private readonly channel: PacketChannel,
    private readonly process: Promise<ProgramEnd>,
  ) {
    channel.onMessage((data) => this.#hear(data.toString('utf8').split('\0').slice(0, -1)));
    channel.onClose(() => this.#end());
  }

  /**
   * Makes the namespaces and maps the ids; how, is asked while the launcher starts. `env` is added to the environment of
   * everything in them; sockets that a service manager passed to this process go on to the command.
   * Throws NamespaceError; nothing is left then.
   */
  static async start(
    channels: Channels,
    namespaces: readonly Namespace[],
    planIdMap: () => Promise<IdMap>,
    env: Record<string, string>,
  ): Promise<Launcher> {
    inheritOrphans();
    const [ours, theirs] = native().socketpair();
    const inherited = inheritedDescriptors();
    const control = FIRST_FD + inherited.length;
    const { child, ended } = startProgram(LAUNCHER, [String(control), String(process.pid), namespaces.join(',')], {
      stdio: ['inherit', 'inherit', 'inherit', ...inherited, theirs],
      env: { ...process.env, ...env, ...activation() },
    });
    native().closeFd(theirs);
    const launcher = new Launcher(channels.open(ours), ended);
    const unshared = launcher.#reply();
    unshared.catch(() => {});
    try {
      const result = child.pid === undefined ? await ended : undefined;
      if (result) throw new NamespaceError(`cannot start ${LAUNCHER}: ${result.problem}; build it with: npm run build`);
      launcher.pid = await launcher.#map(child.pid ?? 0, await planIdMap(), unshared);
      launcher.#userNamespace = userNamespaceOf(launcher.pid);
      return launcher;
    } catch (error) {
      await launcher.kill();
      if (error instanceof OrderError) throw await explainUnshare(error.code, error.what, error.object);
      throw error;
    }
  }

  /** Resolves with the pid of a process that is in all the namespaces. Throws NamespaceError or OrderError. */
  async #map(pid: number, idMap: IdMap, unshared: Promise<unknown>): Promise<number> {
    if (idMap.kind !== 'sub-ids') {
      await unshared;
      await writeIdMap(pid, idMap);
      return Number((await this.order('mapped'))[0]);
    }
    const programs = mapPrograms(pid, idMap);
    // It is there when the launcher comes to it. Where that fails before, it says so first.
    const mapping = this.order('map', ...programs[0], '', ...programs[1]);
    mapping.catch(() => {});
    await unshared;
    const [first = '', status, output = ''] = await mapping;
    if (status === undefined) return Number(first);
    throw mapError(programs[Number(first)] ?? [], Number(status), output);
  }

  /** Gives an order; resolves with the words of the answer. Throws OrderError. Orders are carried out one by one. */
  async order(...words: string[]): Promise<string[]> {
    return this.#send(words, []);
  }

  /** Starts a program in the namespaces, with `fd` (which is closed here) as its descriptor 3. Resolves with its pid. */
  async startHelper(command: readonly string[], fd: number): Promise<number> {
    const [pid] = await this.#send(['start', ...command], [fd]);
    return Number(pid);
  }

  /** The command is to run under the filter of the port driver `bypass`, and to say hello on `fd`, which is closed here. */
  async filterCommand(fd: number): Promise<void> {
    await this.#send(['bypass'], [fd]);
  }

  /** The command is to start with a socket, which is closed here, under a name (sd_listen_fds(3)). */
  async activate(fd: number, name: string): Promise<void> {
    await this.#send(['activate', name], [fd]);
  }

  /** Goes on without a command. */
  async idle(): Promise<void> {
    await this.order('idle');
  }

  /** Starts the command. Throws CommandError. */
  async run(command: readonly string[]): Promise<void> {
    try {
      const parts = packets(command);
      for (const part of parts.slice(0, -1)) await this.order('more', ...part);
      await this.order('run', ...(parts.at(-1) ?? []));
    } catch (error) {
      if (!(error instanceof OrderError)) throw error;
      const name = command[0] ?? '';
      if (name === '') throw new CommandError('the command is empty: ""; check the quotes around it', 127);
      if (error.code === 'ENOENT') throw new CommandError(`command not found: ${name}; check its name, and PATH`, 127);
      throw new CommandError(`cannot execute ${name}: ${describe(error.code)}`, 126);
    }
  }

  /** How the command ended; undefined where the launcher itself was killed. */
  async wait(): Promise<CommandResult | undefined> {
    if (this.#result || this.#over) return this.#result;
    return new Promise((resolve) => this.#results.push(resolve));
  }

  /** Whether the command has ended, and everything below the launcher with it. */
  get ended(): boolean {
    return this.#over || this.#result !== undefined;
  }

  signal(number: number): void {
    if (!this.#over) this.#write(['signal', String(number)], []);
  }

  /**
   * Ends everything in the namespaces: at the end of the socket the launcher kills what is below it. If it was killed
   * itself before it could, what was below it is ours now.
   */
  async kill(): Promise<void> {
    this.channel.close();
    this.#end();
    const { signal } = await this.process;
    if (signal !== undefined || this.#result === undefined) await killOrphans(this.#userNamespace);
  }

  async #send(words: readonly string[], fds: number[]): Promise<string[]> {
    if (this.#over) {
      for (const fd of fds) native().closeFd(fd);
      throw new OrderError('EPIPE', `${words[0]} (the launcher has ended)`);
    }
    this.#write(words, fds);
    return this.#reply();
  }

  #write(words: readonly string[], fds: number[]): void {
    this.channel.send(Buffer.from(words.map((word) => `${word}\0`).join('')), fds);
  }

  #reply(): Promise<string[]> {
    return new Promise((resolve, reject) => this.#replies.push({ resolve, reject }));
  }

  #hear(words: string[]): void {
    const [first, ...rest] = words;
    if (first === 'exited' || first === 'signaled') {
      const number = Number(rest[0]);
      this.#result = first === 'exited' ? { code: number } : { signal: number };
      for (const resolve of this.#results.splice(0)) resolve(this.#result);
      return;
    }
    const waiting = this.#replies.shift();
    if (first === 'error') {
      waiting?.reject(new OrderError(errnoName(Number(rest[0])), rest[1] ?? '', rest[2]));
    } else {
      waiting?.resolve(rest);
    }
  }

  #end(): void {
    if (this.#over) return;
    this.#over = true;
    for (const { reject } of this.#replies.splice(0)) reject(new OrderError('EPIPE', 'the launcher has ended'));
    for (const resolve of this.#results.splice(0)) resolve(this.#result);
  }
}

/** The words in groups that fit a packet each; a word has at most 128 KiB (execve(2)). */
function packets(words: readonly string[]): string[][] {
  const groups: string[][] = [[]];
  let size = 0;
  for (const word of words) {
    const bytes = Buffer.byteLength(word) + 1;
    if (size > 0 && (size + bytes > MAX_BYTES || (groups.at(-1)?.length ?? 0) >= MAX_WORDS)) {
      groups.push([]);
      size = 0;
    }
    groups.at(-1)?.push(word);
    size += bytes;
  }
  return groups;
}

/** The one errno of those that we see that Node has no name for. */
const ELIBACC = 79;

function errnoName(errno: number): string {
  if (errno === ELIBACC) return 'ELIBACC';
  try {
    return getSystemErrorName(-errno);
  } catch {
    return `errno ${errno}`;
  }
}

/** What an errno's name means, for the few that execve(2) gives. */
function describe(code: string): string {
  const meanings: Record<string, string> = {
    EACCES:
      'permission denied; it is not executable (chmod +x), is a directory, or lies on a file system mounted noexec',
    ENOEXEC: 'it is neither a binary for this machine nor a script that begins with #!',
    ENOTDIR: 'a part of its path is no directory',
    E2BIG: 'its arguments are too long',
    ELIBACC: 'its interpreter (the line that begins with #!) or its loader does not exist',
  };
  return meanings[code] ?? code;
}
