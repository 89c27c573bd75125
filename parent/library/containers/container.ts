import type { ContainerReport } from '../../../protocol/containers/types.js';
import type { ContainerClient } from '../../client/container-client.js';
import { type Abortable, abortable } from '../abort.js';
import { anyText, type Checks, environment, flag, text } from '../checks.js';
import { removed } from '../errors.js';
import { type Program, type ProgramOptions, programChecks } from '../programs/options.js';
import { startProgram } from '../programs/start.js';
import { streamedProgram } from '../programs/streamed.js';

/** How one more program is run in a container. */
export interface ExecOptions extends ProgramOptions {
  /** `NAME=value` as an object. */
  env?: Readonly<Record<string, string>>;
  cwd?: string;
  /** `USER[:GROUP]`, names of the container's own or numbers. */
  user?: string;
  /** Whether its streams are a terminal, whose output all comes on standard output. */
  tty?: boolean;
  /** Whether it gets a standard input; with `input` it does. */
  stdin?: boolean;
}

const execChecks: Checks<ExecOptions> = {
  ...programChecks,
  env: environment(anyText, 'an object of strings by the names of variables'),
  cwd: text,
  user: text,
  tty: flag,
  stdin: flag,
};

/** A container of a stack. It is removed when it is disposed of. */
export class Container implements AsyncDisposable {
  readonly id: string;
  readonly name: string;
  /** Its main program, with its streams, if it was started by run(). */
  readonly program: Program | undefined;
  readonly #client: ContainerClient;

  constructor(client: ContainerClient, { id, name }: Pick<ContainerReport, 'id' | 'name'>, program?: Program) {
    this.#client = client;
    this.id = id;
    this.name = name;
    this.program = program;
  }

  inspect({ signal }: Abortable = {}): Promise<ContainerReport> {
    return abortable(signal, () => this.#client.inspect(this.id));
  }

  /** Resolves when its process runs, its network is set up, and its ports are published. */
  async start({ signal }: Abortable = {}): Promise<void> {
    await abortable(signal, () => this.#client.start(this.id));
  }

  /**
   * Resolves when it has ended.
   *
   * @param timeout seconds after which it is killed, -1 for never; its own unless given
   */
  stop({ signal, timeout }: Abortable & { timeout?: number } = {}): Promise<void> {
    return abortable(signal, () => this.#client.stop(this.id, timeout));
  }

  kill(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    return this.#client.kill(this.id, signal);
  }

  /** Resolves with the exit code when it has ended; null if its end was not observed. */
  wait({ signal }: Abortable = {}): Promise<number | null> {
    return abortable(signal, () => this.#client.wait(this.id));
  }

  /** Runs one more program in it. */
  exec(command: string, args: readonly string[] = [], options: ExecOptions = {}): Program {
    return startProgram({ command, args, options, checks: execChecks }, (words) => {
      const { env = {}, cwd, user, tty = false, input, stdin = input !== undefined } = options;
      const request = {
        command: [...words],
        env: Object.entries(env).map(([name, value]) => `${name}=${value}`),
        ...(cwd !== undefined && { cwd }),
        ...(user !== undefined && { user }),
        tty,
        stdin,
      };
      return streamedProgram({ open: () => this.#client.exec(this.id, request), stdin });
    });
  }

  /** Stops it if it runs, and removes it. Does nothing if it is removed already. */
  async remove(): Promise<void> {
    // It is ended on purpose.
    this.program?.catch(() => {});
    await removed(this.#client.remove(this.id, { force: true }));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.remove();
  }
}
