/** Programs that run in the namespaces beside the command, or where there is none. */
import { native } from '../../native/index.js';
import { errnoText } from '../../protocol/errors/errno-text.js';
import { NamespaceError } from '../errors.js';
import type { CommandResult, Launcher } from './launcher.js';
import { commandError, LauncherRequestError, packets } from './launcher.js';

export interface NewProgram {
  /** The program and its arguments. */
  command: readonly string[];
  /** Working directory; the launcher's where absent. */
  cwd?: string | undefined;
  /** What is changed in the launcher's environment; undefined removes a variable. */
  env?: Readonly<Record<string, string | undefined>>;
  /** Whether the environment has nothing but `env`. */
  onlyEnv?: boolean;
  /** Standard input, output and error; they are closed here. */
  fds: [number, number, number];
}

export interface StartedProgram {
  /** As the launcher counts: in its pid namespace, if there is one. */
  pid: number;
  /** Resolves when it has ended; with SIGKILL where the namespaces end first. */
  ended: Promise<CommandResult>;
  /** Does nothing if it has ended. */
  signal(number: number): void;
}

/** Bytes of a path, with the NUL after it (PATH_MAX). */
const MAX_PATH = 4096;

/** Of a program that the end of the namespaces has ended. */
const KILLED: CommandResult = { signal: 9 };

export class NamespacePrograms {
  readonly #ends = new Map<number, (result: CommandResult) => void>();
  /** Of programs that ended before their start was known here. */
  readonly #early = new Map<number, CommandResult>();
  /** Requests for one program follow each other without those for another between. */
  #queue: Promise<unknown> = Promise.resolve();

  constructor(private readonly launcher: Launcher) {
    launcher.onProgramEnd = (pid, result) => {
      const end = this.#ends.get(pid);
      if (end) end(result);
      else this.#early.set(pid, result);
      this.#ends.delete(pid);
    };
    // Once for all of them: there may be many in the life of a stack.
    void launcher.wait().then(() => {
      for (const end of this.#ends.values()) end(KILLED);
      this.#ends.clear();
    });
  }

  /** Resolves when it runs. Throws CommandError, and NamespaceError. */
  start(program: NewProgram): Promise<StartedProgram> {
    const started = this.#queue.then(() => this.#start(program));
    this.#queue = started.catch(() => {});
    return started;
  }

  async #start({ command, cwd = '', env = {}, onlyEnv = false, fds }: NewProgram): Promise<StartedProgram> {
    const { launcher } = this;
    const variables = [
      ...(onlyEnv ? [''] : []),
      ...Object.entries(env).map(([name, value]) => (value === undefined ? name : `${name}=${value}`)),
    ];
    let sent = false;
    try {
      const parts = packets([...variables, ...command]);
      if (Buffer.byteLength(cwd) >= MAX_PATH) throw new LauncherRequestError('ENAMETOOLONG', 'chdir', cwd);
      for (const part of parts.slice(0, -1)) await launcher.request('more', ...part);
      const words = ['program', cwd, String(variables.length), ...(parts.at(-1) ?? [])];
      sent = true;
      const [pid] = await launcher.requestWith(fds, ...words);
      return this.#started(Number(pid));
    } catch (error) {
      if (!sent) for (const fd of fds) native().closeFd(fd);
      if (!(error instanceof LauncherRequestError)) throw error;
      if (error.what === 'chdir')
        throw new NamespaceError(`cannot start a program in ${error.object}: ${errnoText(error.code)}`);
      throw commandError(error, command);
    }
  }

  #started(pid: number): StartedProgram {
    const early = this.#early.get(pid);
    this.#early.delete(pid);
    const known = early ?? (this.launcher.ended ? KILLED : undefined);
    const ended = known
      ? Promise.resolve(known)
      : new Promise<CommandResult>((resolve) => {
          this.#ends.set(pid, resolve);
        });
    const signal = (number: number) => {
      if (this.#ends.has(pid)) this.launcher.request('program-signal', String(pid), String(number)).catch(() => {});
    };
    return { pid, ended, signal };
  }
}
