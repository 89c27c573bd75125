/**
 * A program in a pseudoterminal of the agent's (pty(7)). The program is an OCI runtime, which gives the container a second
 * one, and copies between the two.
 */
import { stat } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { native } from '../../../native/index.js';
import type { TerminalSize } from '../../../protocol/containers/types.js';
import { ProgramError } from '../errors.js';
import { runtimeEnvironment } from '../oci/runtime.js';
import { readText } from '../storage/atomic-files.js';

/** The size of a VT100. */
export const INITIAL_SIZE: TerminalSize = { columns: 80, rows: 24 };
/** How long the container's terminal may take to appear, in ms. */
const INSIDE_TIMEOUT = 5000;

/** The used part of the package node-pty. It is optional, and this has to compile without it and its types. */
interface Pty {
  write(data: string): void;
  resize(columns: number, rows: number): void;
  kill(): void;
  onData(listener: (data: string) => void): void;
  onExit(listener: (end: { exitCode: number; signal?: number }) => void): void;
}

interface PtyModule {
  spawn(
    program: string,
    args: string[],
    options: { name: string; cols: number; rows: number; env: Record<string, string> },
  ): Pty;
}

/** Not a literal, since the compiler would resolve the package's types. */
const PTY_PACKAGE: string = 'node-pty';

export class Terminal {
  /** Output until a listener is attached. */
  #kept = '';
  #code: number | undefined;
  #size: TerminalSize;
  /** Pid of the container's program. */
  #pid: number | undefined;
  readonly #listeners = new Set<(data: string) => void>();
  readonly #exitListeners: ((code: number) => void)[] = [];

  private constructor(
    private readonly pty: Pty,
    size: TerminalSize,
  ) {
    this.#size = size;
    pty.onData((data) => {
      if (this.#listeners.size === 0) this.#kept += data;
      for (const listener of this.#listeners) listener(data);
    });
    pty.onExit(({ exitCode, signal }) => {
      this.#code = signal ? 128 + signal : exitCode;
      for (const listener of this.#exitListeners) listener(this.#code);
    });
  }

  /** Throws ProgramError. */
  static async open([program = '', ...args]: readonly string[], size = INITIAL_SIZE): Promise<Terminal> {
    let module: PtyModule;
    try {
      module = (await import(PTY_PACKAGE)) as PtyModule;
    } catch {
      throw new ProgramError(
        'cannot open a terminal: the package node-pty is not installed; install it with: npm install node-pty',
      );
    }
    const env = runtimeEnvironment();
    const { columns: cols, rows } = size;
    return new Terminal(module.spawn(program, args, { name: 'xterm', cols, rows, env }), size);
  }

  get exited(): boolean {
    return this.#code !== undefined;
  }

  write(data: string | Buffer): void {
    if (!this.exited) this.pty.write(data.toString());
  }

  resize(columns: number, rows: number): void {
    if (this.exited || !(columns > 0 && rows > 0)) return;
    try {
      this.pty.resize(columns, rows);
    } catch {
      // Its program has just ended, which onExit reports a moment later.
      return;
    }
    this.#size = { columns, rows };
    void this.#resizeInside();
  }

  /**
   * Waits until the OCI runtime has written the pid of the program that it runs in the container, and resolves with that.
   * Where the runtime has ended instead, throws what `failure` makes of its output.
   */
  async pidOf(pidFile: string, failure: (output: string) => Error): Promise<number> {
    for (;;) {
      const pid = Number((await readText(pidFile)) ?? 0);
      if (pid > 0) {
        this.#pid = pid;
        void this.#resizeInside();
        return pid;
      }
      if (this.exited) throw failure(this.#kept);
      await delay(2);
    }
  }

  /** Sets the size of the container's own terminal: crun (1.8) passes it on neither at the start nor later. */
  async #resizeInside(): Promise<void> {
    const [pid, size] = [this.#pid, this.#size];
    if (pid === undefined) return;
    const path = `/proc/${pid}/fd/0`;
    const deadline = performance.now() + INSIDE_TIMEOUT;
    while (!this.exited && size === this.#size && performance.now() < deadline) {
      try {
        // Until then its standard input is the agent's terminal.
        if ((await stat(path)).dev !== (await stat('/dev/pts')).dev) {
          return native().setTerminalSize(path, size.columns, size.rows);
        }
      } catch {
        // It has ended, or has replaced its standard input.
        return;
      }
      await delay(5);
    }
  }

  /** Attaches a listener, which gets the output until now first. Returns a function that detaches it. */
  listen(listener: (data: string) => void): () => void {
    if (this.#kept !== '') listener(this.#kept);
    this.#kept = '';
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Calls back with the exit code; at once where the program has ended already. */
  onExit(listener: (code: number) => void): void {
    if (this.#code === undefined) this.#exitListeners.push(listener);
    else listener(this.#code);
  }

  /** Hangs up: SIGHUP to the program. */
  end(): void {
    if (!this.exited) this.pty.kill();
  }
}
