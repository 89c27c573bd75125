/**
 * A program in a pseudoterminal of the agent's (pty(7)). The program is an OCI runtime, which gives the container a second
 * one, and copies between the two.
 */
import { stat } from 'node:fs/promises';
import type { Readable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { native } from '../../../native/index.js';
import type { TerminalSize } from '../../../protocol/containers/types.js';
import { errorText } from '../../../protocol/errors/error-text.js';
import { ProgramError } from '../errors.js';
import { readText } from '../storage/atomic-files.js';
import { Pty } from './pty.js';

/** The size of a VT100. */
export const INITIAL_SIZE: TerminalSize = { columns: 80, rows: 24 };
/** How long the container's terminal may take to appear, in ms. */
const INSIDE_TIMEOUT = 5000;
/** How much of a failed runtime's output is read, in characters. */
const MAX_FAILURE = 64 * 1024;

export class Terminal {
  #size: TerminalSize;
  /** Pid of the container's program. */
  #pid: number | undefined;

  private constructor(
    private readonly pty: Pty,
    size: TerminalSize,
  ) {
    this.#size = size;
  }

  /**
   * @param descriptors the program's from 3 on, which remain the caller's
   * @throws {ProgramError} where no terminal can be opened
   */
  static open(words: readonly string[], size = INITIAL_SIZE, descriptors: readonly number[] = []): Terminal {
    try {
      return new Terminal(Pty.open(words, size, descriptors), size);
    } catch (error) {
      throw new ProgramError(`cannot open a terminal: ${errorText(error)}`);
    }
  }

  /** What is written to it; ends after the program. */
  get output(): Readable {
    return this.pty.output;
  }

  /** Resolves with the exit code. */
  get ended(): Promise<number> {
    return this.pty.ended;
  }

  /** Resolves when it is written; until then no more should come. */
  write(data: Uint8Array): Promise<void> {
    return this.pty.write(data);
  }

  resize(columns: number, rows: number): void {
    if (!this.pty.running || ![columns, rows].every((count) => count > 0 && count < 65_536)) return;
    this.#size = { columns, rows };
    this.pty.resize(this.#size);
    void this.#resizeInside();
  }

  /**
   * Waits until the OCI runtime has written the pid of the program that it runs in the container, and resolves with that.
   * Where the runtime has ended instead, throws what `failure` makes of its output.
   */
  async pidOf(pidFile: string, failure: (output: string) => Error): Promise<number> {
    for (;;) {
      const last = !this.pty.running;
      const pid = Number((await readText(pidFile)) ?? 0);
      if (pid > 0) {
        this.#pid = pid;
        void this.#resizeInside();
        return pid;
      }
      if (last) throw failure(await this.#startOfOutput());
      await delay(2);
    }
  }

  /** Sets the size of the container's own terminal: crun (1.8) passes it on neither at the start nor later. */
  async #resizeInside(): Promise<void> {
    const [pid, size] = [this.#pid, this.#size];
    if (pid === undefined) return;
    const path = `/proc/${pid}/fd/0`;
    const deadline = performance.now() + INSIDE_TIMEOUT;
    while (this.pty.running && size === this.#size && performance.now() < deadline) {
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

  /** Of a program that has ended. */
  async #startOfOutput(): Promise<string> {
    let output = '';
    for await (const data of this.output) {
      output += String(data);
      if (output.length > MAX_FAILURE) break;
    }
    return output;
  }

  /** Hangs up: SIGHUP to the program. */
  end(): void {
    this.pty.hangUp();
  }
}
