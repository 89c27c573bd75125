/**
 * A program that runs in a stack or in a container: a promise of its end, with its streams, in the manner of execa.
 *
 * Theory of operation. The source starts it, and reports its end; streams are there before. What it writes is collected for the
 * result, up to a limit, whoever else reads it. The promise is settled when the program has ended and its output has been
 * read: of a program that leaves daemons with its output, when these have ended, too.
 */
import { Duplex, type Readable, type Writable } from 'node:stream';
import { signalName, signalNumber } from '../../../protocol/system/signals.js';
import { ExpectedError } from '../../errors.js';
import type { ProgramSource } from '../../namespaces/piped-program.js';
import { OptionError } from '../errors.js';
import { linesOf } from './lines.js';
import { notStarted, type Program, ProgramError, type ProgramOptions, type ProgramResult } from './options.js';

const MAX_BUFFER = 16 * 1024 * 1024;
const FORCE_KILL_DELAY = 5_000;

export class RunningProgram implements Program {
  readonly stdin: Writable | undefined;
  readonly stdout: Readable | undefined;
  readonly stderr: Readable | undefined;
  readonly command: readonly string[];
  readonly #started: Promise<void>;
  readonly #source: ProgramSource;
  readonly #options: ProgramOptions;
  readonly #result: Promise<ProgramResult>;
  #pid: number | undefined;
  #hasStarted = false;
  #hasEnded = false;
  #ending: 'canceled' | 'timedOut' | undefined;

  constructor(source: ProgramSource, command: readonly string[], options: ProgramOptions = {}) {
    this.#source = source;
    this.#options = options;
    this.command = command;
    this.stdin = source.stdin;
    this.stdout = source.stdout;
    this.stderr = source.stderr;
    // A program that does not read its input ends the pipe.
    this.stdin?.on('error', () => {});
    if (options.input !== undefined) this.stdin?.end(options.input);
    this.#started = source.started.then((pid) => {
      this.#pid = pid;
      this.#hasStarted = true;
    });
    this.#started.catch(() => {});
    source.ended.catch(() => {});
    this.#result = this.#run();
  }

  get pid(): number | undefined {
    return this.#pid;
  }

  get started(): Promise<void> {
    // Who waits for the start learns of its failure there, and need not handle it once more.
    this.#started.catch(() => this.ignoreFailure());
    return this.#started;
  }

  kill(signal: NodeJS.Signals | number = 'SIGTERM'): void {
    if (!this.#hasEnded) this.#source.kill(typeof signal === 'number' ? signal : signalNumber(signal));
  }

  /** Settled when it has ended; its output may not have been read yet. */
  get ended(): Promise<unknown> {
    return this.#source.ended;
  }

  duplex(): Duplex {
    if (!this.stdin && !this.stdout) throw new OptionError(`${this.command[0]} has no pipes for duplex()`, 'stdio');
    return Duplex.from({ readable: this.stdout, writable: this.stdin });
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<string, void, undefined> {
    // The loop fails with it, when it has read the lines.
    this.ignoreFailure();
    if (this.stdout) yield* linesOf(this.stdout);
    await this.#result;
  }

  // biome-ignore lint/suspicious/noThenProperty: it is awaited for its result, as a subprocess of execa is
  then<A = ProgramResult, B = never>(
    onFulfilled?: ((result: ProgramResult) => A | PromiseLike<A>) | null,
    onRejected?: ((reason: unknown) => B | PromiseLike<B>) | null,
  ): Promise<A | B> {
    return this.#result.then(onFulfilled, onRejected);
  }

  catch<B = never>(onRejected?: ((reason: unknown) => B | PromiseLike<B>) | null): Promise<ProgramResult | B> {
    return this.#result.catch(onRejected);
  }

  finally(onFinally?: (() => void) | null): Promise<ProgramResult> {
    return this.#result.finally(onFinally);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#end();
    await this.#result.catch(() => {});
  }

  /** Its failure is no longer one: what it runs in is being ended. */
  ignoreFailure(): void {
    this.#result.catch(() => {});
  }

  #end(): void {
    const { killSignal = 'SIGTERM', forceKillAfterDelay = FORCE_KILL_DELAY } = this.#options;
    this.kill(killSignal);
    if (forceKillAfterDelay === false) return;
    const timer = setTimeout(() => this.kill('SIGKILL'), forceKillAfterDelay).unref();
    this.#source.ended.finally(() => clearTimeout(timer)).catch(() => {});
  }

  async #run(): Promise<ProgramResult> {
    const { cancelSignal, maxBuffer = MAX_BUFFER, reject = true, timeout } = this.#options;
    const output = [this.stdout, this.stderr].map((stream) => new Collected(stream, maxBuffer));
    const cancel = () => {
      this.#ending ??= 'canceled';
      this.#end();
    };
    const late = () => {
      this.#ending ??= 'timedOut';
      this.#end();
    };
    const timer = timeout === undefined ? undefined : setTimeout(late, timeout);
    if (cancelSignal?.aborted) cancel();
    cancelSignal?.addEventListener('abort', cancel, { once: true });
    try {
      await this.#source.started;
      const end = await this.#source.ended;
      this.#hasEnded = true;
      // Nothing reads it any more; daemons that have it are not the program.
      this.stdin?.destroy();
      await Promise.all(output.map(({ complete }) => complete));
      const result = this.#resultOf(end, output);
      if (result.failed && reject) throw new ProgramError(result, { cause: cancelSignal?.reason });
      return result;
    } catch (error) {
      this.#hasEnded = true;
      for (const stream of [this.stdin, this.stdout, this.stderr]) stream?.destroy();
      const ending = this.#hasStarted ? undefined : this.#ending;
      const failure = ending ? notStarted(this.command, { [ending]: true }, error) : error;
      if (failure instanceof ProgramError && !reject) return failure.result;
      throw failure;
    } finally {
      clearTimeout(timer);
      cancelSignal?.removeEventListener('abort', cancel);
    }
  }

  #resultOf(end: { code: number } | { signal: number }, [stdout, stderr]: Collected[]): ProgramResult {
    return {
      command: this.command,
      ...('code' in end ? { exitCode: end.code } : { signal: signalName(end.signal) }),
      stdout: stdout?.text ?? '',
      stderr: stderr?.text ?? '',
      truncated: (stdout?.truncated || stderr?.truncated) ?? false,
      failed: !('code' in end) || end.code !== 0,
      canceled: this.#ending === 'canceled',
      timedOut: this.#ending === 'timedOut',
    };
  }
}

/** A program that cannot be started. */
export function failedSource(error: unknown): ProgramSource {
  const failed = Promise.reject(error instanceof Error ? error : new ExpectedError(String(error)));
  failed.catch(() => {});
  return { stdin: undefined, stdout: undefined, stderr: undefined, started: failed, ended: failed, kill: () => {} };
}

/** What comes on a stream, up to a limit. */
class Collected {
  readonly #chunks: Buffer[] = [];
  #size = 0;
  truncated = false;
  /** Resolves when nothing more comes. */
  readonly complete: Promise<void>;

  constructor(stream: Readable | undefined, limit: number) {
    stream?.on('data', (chunk: Buffer | string) => {
      const data = Buffer.from(chunk);
      if (this.#size + data.length > limit) this.truncated = true;
      const taken = data.subarray(0, limit - this.#size);
      this.#size += taken.length;
      if (taken.length > 0) this.#chunks.push(taken);
    });
    this.complete = new Promise((resolve) => {
      if (!stream || stream.closed) return resolve();
      stream
        .once('close', resolve)
        .once('end', resolve)
        .once('error', () => resolve());
    });
  }

  get text(): string {
    return Buffer.concat(this.#chunks)
      .toString('utf8')
      .replace(/\r?\n$/, '');
  }
}
