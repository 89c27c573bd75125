/**
 * A program in a pseudoterminal (pty(7)).
 *
 * Theory of operation. The native part opens a pair of descriptors. The launcher (native/src/launcher/main.c) makes a session
 * for the program, whose controlling terminal is one end; Node reads and writes the other, which does not block: a program
 * that does not read its terminal would hold up the agent. Node's streams cannot write to such a descriptor without
 * spinning, so what is written is retried with pauses while there is no room.
 *
 * Once the program's end is closed everywhere, libuv takes the first short read for the last one, and drops the rest. So that
 * end is kept open here until the program has ended, and the rest is read without libuv then: up to EIO, or where another
 * process still has the terminal, until nothing comes for a moment.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, read as readCallback, write as writeCallback } from 'node:fs';
import { constants } from 'node:os';
import { PassThrough } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { ReadStream } from 'node:tty';
import { promisify } from 'node:util';
import { LAUNCHER, native } from '../../../native/index.js';
import type { TerminalSize } from '../../../protocol/containers/types.js';
import { errnoName } from '../../../protocol/errors/error-text.js';
import { runtimeEnvironment } from '../oci/runtime.js';

const readSome = promisify(readCallback);
const writeSome = promisify(writeCallback);

/** Pause while nothing can be read or written, in ms. */
const RETRY = 10;
/** How long output is waited for that other processes write after the program's end, in ms since the last. */
const LINGER = 200;
/** As a shell's, where a program cannot be started. */
const NOT_STARTED = 126;

export class Pty {
  /** What the program writes; ends after the program. */
  readonly output = new PassThrough();
  /** Resolves with the program's exit code, as a shell has it, when it has ended and what it wrote has been read. */
  readonly ended: Promise<number>;
  #running = true;
  #written: Promise<void> = Promise.resolve();
  readonly #terminal: ReadStream;
  /** The same file again: it stays open until the last read and write, whatever the stream does. */
  readonly #fd: number;

  private constructor(
    private readonly child: ChildProcess,
    fd: number,
    private readonly programFd: number,
  ) {
    this.#fd = native().duplicateFd(fd);
    this.#terminal = new ReadStream(fd);
    this.#terminal.on('error', () => {});
    this.#terminal.pipe(this.output, { end: false });
    this.ended = this.#exit().then(async (code) => {
      this.#running = false;
      await this.#passOnRest();
      this.output.end();
      void this.#written.then(() => closeSync(this.#fd));
      return code;
    });
  }

  /**
   * @param descriptors the program's from 3 on, which remain the caller's
   * @throws a system error where none can be opened
   */
  static open(words: readonly string[], size: TerminalSize, descriptors: readonly number[] = []): Pty {
    const [fd, programFd] = native().openPty();
    try {
      native().setPtySize(fd, size.columns, size.rows);
      const stdio = [programFd, programFd, programFd, ...descriptors];
      const child = spawn(LAUNCHER, ['in-terminal', ...words], { stdio, env: runtimeEnvironment() });
      return new Pty(child, fd, programFd);
    } catch (error) {
      for (const open of [fd, programFd]) closeSync(open);
      throw error;
    }
  }

  get running(): boolean {
    return this.#running;
  }

  /** Resolves when it is written; until then no more should come. */
  write(data: Uint8Array): Promise<void> {
    this.#written = this.#written.then(() => this.#writeAll(data));
    return this.#written;
  }

  resize({ columns, rows }: TerminalSize): void {
    if (this.#running) native().setPtySize(this.#fd, columns, rows);
  }

  /** As where a line is lost: SIGHUP to the program. What it still writes is dropped. */
  hangUp(): void {
    if (this.#running) this.child.kill('SIGHUP');
    this.output.resume();
  }

  #exit(): Promise<number> {
    return new Promise((resolve) => {
      this.child.once('error', () => resolve(NOT_STARTED));
      this.child.once('exit', (code, signal) => resolve(code ?? 128 + (signal ? constants.signals[signal] : 0)));
    });
  }

  async #passOnRest(): Promise<void> {
    // What the stream has read, and its reader not yet.
    while (this.#terminal.readableLength > 0) await delay(RETRY);
    this.#terminal.destroy();
    closeSync(this.programFd);
    const buffer = Buffer.alloc(4096);
    for (let idle = 0; idle < LINGER; ) {
      try {
        const { bytesRead } = await readSome(this.#fd, buffer, 0, buffer.length, null);
        idle = 0;
        if (!this.output.write(Buffer.from(buffer.subarray(0, bytesRead)))) await once(this.output, 'drain');
      } catch (error) {
        if (errnoName(error) !== 'EAGAIN') return;
        await delay(RETRY);
        idle += RETRY;
      }
    }
  }

  async #writeAll(data: Uint8Array): Promise<void> {
    for (let rest = data; rest.length > 0 && this.#running; ) {
      try {
        rest = rest.subarray((await writeSome(this.#fd, rest)).bytesWritten);
      } catch (error) {
        if (errnoName(error) !== 'EAGAIN') return;
        await delay(RETRY);
      }
    }
  }
}
