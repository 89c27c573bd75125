/**
 * A program in a pseudo-terminal of ours (pty(7)), for those who attach to it. The program is an OCI runtime, which gives
 * the container a second one, and copies between the two.
 */
import { stat } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import type { IPty } from 'node-pty';
import { native } from '../../native/index.js';
import type { TerminalSize } from '../../protocol/containers.js';
import { ProgramError } from './errors.js';
import { PROGRAM_PATH } from './run-program.js';
import { readText } from './state-files.js';

/** How much of what was shown is kept for who attaches later, in characters. */
const KEPT = 64 * 1024;
/** As terminals were before they had windows. */
export const INITIAL_SIZE: TerminalSize = { columns: 80, rows: 24 };
/** How long the second terminal may take to be there, in ms. */
const INSIDE_TIMEOUT = 5000;

export class Terminal {
  #kept = '';
  #code: number | undefined;
  #size: TerminalSize;
  /** Of the container's program. */
  #pid: number | undefined;
  readonly #listeners = new Set<(data: string) => void>();
  readonly #exitListeners: ((code: number) => void)[] = [];

  private constructor(
    private readonly pty: IPty,
    size: TerminalSize,
  ) {
    this.#size = size;
    pty.onData((data) => {
      this.#kept = (this.#kept + data).slice(-KEPT);
      for (const listener of this.#listeners) listener(data);
    });
    pty.onExit(({ exitCode, signal }) => {
      this.#code = signal ? 128 + signal : exitCode;
      for (const listener of this.#exitListeners) listener(this.#code);
    });
  }

  /** Throws ProgramError. */
  static async open([program = '', ...args]: readonly string[], size = INITIAL_SIZE): Promise<Terminal> {
    let module: typeof import('node-pty');
    try {
      module = await import('node-pty');
    } catch {
      throw new ProgramError(
        'no terminal can be opened: the package node-pty is not installed; install it with: npm install node-pty',
      );
    }
    const env = { ...process.env, PATH: PROGRAM_PATH } as Record<string, string>;
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
      // Its program has ended just now, which is told a moment later.
      return;
    }
    this.#size = { columns, rows };
    void this.#resizeInside();
  }

  /**
   * Waits until the OCI runtime has written the process id of the program that it runs in the container, and resolves with
   * that. Where it has ended instead, throws what `failure` makes of its words.
   */
  async pidOf(pidFile: string, failure: (said: string) => Error): Promise<number> {
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

  /** Gives the container's own terminal its size: crun (1.8) does not pass it on, neither at first nor later. */
  async #resizeInside(): Promise<void> {
    const [pid, size] = [this.#pid, this.#size];
    if (pid === undefined) return;
    const path = `/proc/${pid}/fd/0`;
    const deadline = performance.now() + INSIDE_TIMEOUT;
    while (!this.exited && size === this.#size && performance.now() < deadline) {
      try {
        // Until then it has ours.
        if ((await stat(path)).dev !== (await stat('/dev/pts')).dev) {
          return native().setTerminalSize(path, size.columns, size.rows);
        }
      } catch {
        // It has ended, or has another standard input by now.
        return;
      }
      await delay(5);
    }
  }

  /** What was shown until now comes first. Returns what ends the listening. */
  listen(listener: (data: string) => void): () => void {
    if (this.#kept !== '') listener(this.#kept);
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** At once where it has ended already. */
  onExit(listener: (code: number) => void): void {
    if (this.#code === undefined) this.#exitListeners.push(listener);
    else listener(this.#code);
  }

  /** As a terminal's end is told: SIGHUP. */
  end(): void {
    if (!this.exited) this.pty.kill();
  }
}
