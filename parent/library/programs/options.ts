/** How programs are run, what they are while they run, and what is known of them at their end. */
import type { Duplex, Readable, Writable } from 'node:stream';
import { ExpectedError } from '../../errors.js';
import type { Stdio } from '../../namespaces/piped-program.js';
import {
  abortSignal,
  anyText,
  type Checks,
  either,
  environment,
  flag,
  milliseconds,
  oneOf,
  signal,
  text,
  whole,
} from '../checks.js';

export interface ProgramOptions {
  /** Written to its standard input, which then ends. */
  input?: string | Uint8Array;
  /** Ends the program when it aborts. */
  cancelSignal?: AbortSignal;
  /** Ends the program after so many ms, up to 24 days. */
  timeout?: number;
  /** The signal that ends it; SIGTERM unless given. */
  killSignal?: NodeJS.Signals | number;
  /** After so many ms a program that was to end is killed (SIGKILL); 5000 unless given, false for never. */
  forceKillAfterDelay?: number | false;
  /** Whether the promise rejects where the program fails; otherwise the result reports it. True unless given. */
  reject?: boolean;
  /** Bytes of standard output and standard error, each, that the result holds; what follows is left out. 16 MiB unless given. */
  maxBuffer?: number;
}

export interface RunOptions extends ProgramOptions {
  /** Working directory; seen from that of this process, which it is unless given. */
  cwd?: string;
  /** Variables beside those of this process; undefined removes one. */
  env?: Readonly<Record<string, string | undefined>>;
  /** False for an environment of `env` alone. */
  extendEnv?: boolean;
  /** For all three streams, or for each; pipes unless given. */
  stdio?: Stdio | readonly [stdin: Stdio, stdout: Stdio, stderr: Stdio];
}

export const programChecks: Checks<ProgramOptions> = {
  input: [(value) => typeof value === 'string' || value instanceof Uint8Array, 'a string or a Uint8Array'],
  cancelSignal: abortSignal,
  timeout: milliseconds(1),
  killSignal: signal,
  forceKillAfterDelay: either(milliseconds(0), [(value) => value === false, 'false']),
  reject: flag,
  maxBuffer: whole(0),
};

const stream = either(oneOf(['pipe', 'inherit', 'ignore'] satisfies Stdio[]), whole(0));

export const runChecks: Checks<RunOptions> = {
  ...programChecks,
  cwd: text,
  env: environment(
    [(value) => value === undefined || anyText[0](value), ''],
    'an object of strings by the names of variables',
  ),
  extendEnv: flag,
  stdio: [
    (value) => stream[0](value) || (Array.isArray(value) && value.length === 3 && value.every(stream[0])),
    'pipe, inherit, ignore, a descriptor, or three of these',
  ],
};

/**
 * A program that runs: awaited, it resolves when it has exited with code 0, and rejects with a ProgramError where it ends in
 * another way. Looping over it gives the lines of its standard output from then on, and then fails where the program does.
 */
export interface Program extends PromiseLike<ProgramResult>, AsyncIterable<string>, AsyncDisposable {
  /** Streams are undefined where they are no pipes. */
  readonly stdin: Writable | undefined;
  readonly stdout: Readable | undefined;
  readonly stderr: Readable | undefined;
  /** The program and its arguments. */
  readonly command: readonly string[];
  /** Resolves when it runs; rejects with CommandError, among others, where it cannot be started. */
  readonly started: Promise<void>;
  /** In the pid namespace of its stack, if that has one; undefined until it runs, and where another process runs it. */
  readonly pid: number | undefined;
  /** Sends it a signal, SIGTERM unless given. Does nothing if it has ended. */
  kill(signal?: NodeJS.Signals | number): void;
  /** Standard output and standard input as one stream; Duplex.toWeb() makes web streams of it. */
  duplex(): Duplex;
  catch<B = never>(onRejected?: ((reason: unknown) => B | PromiseLike<B>) | null): Promise<ProgramResult | B>;
  finally(onFinally?: (() => void) | null): Promise<ProgramResult>;
  /** Ends it if it still runs, and resolves when it has ended. */
  [Symbol.asyncDispose](): Promise<void>;
}

export interface ProgramResult {
  command: readonly string[];
  /** Absent where a signal ended it, or it was canceled before its start. */
  exitCode?: number;
  /** Name of the signal that ended it. */
  signal?: string;
  /** As text, without the final line break; "" where it was not a pipe. */
  stdout: string;
  stderr: string;
  /** Whether there was more of either than the result holds. */
  truncated: boolean;
  /** Whether it ended in another way than with exit code 0. */
  failed: boolean;
  /** Whether `cancelSignal` ended it. */
  canceled: boolean;
  timedOut: boolean;
}

/** A program has failed. `code` is `program-failed`, `canceled` or `timed-out`. */
export class ProgramError extends ExpectedError {
  override name = 'ProgramError';
  override readonly code: 'program-failed' | 'canceled' | 'timed-out';

  constructor(
    /** What the promise of a program with `reject: false` resolves with. */
    readonly result: ProgramResult,
    options?: ErrorOptions,
  ) {
    super(messageOf(result), options);
    this.code = result.canceled ? 'canceled' : result.timedOut ? 'timed-out' : 'program-failed';
  }

  /** Undefined where a signal ended it. */
  override get exitCode(): number | undefined {
    return this.result.exitCode;
  }

  /** Name of the signal that ended it. */
  get signal(): string | undefined {
    return this.result.signal;
  }

  get stdout(): string {
    return this.result.stdout;
  }

  get stderr(): string {
    return this.result.stderr;
  }
}

/** The failure of a program that was to end before its start. */
export function notStarted(
  command: readonly string[],
  { canceled = false, timedOut = false }: Partial<Pick<ProgramResult, 'canceled' | 'timedOut'>>,
  cause: unknown,
): ProgramError {
  const nothing = { stdout: '', stderr: '', truncated: false, failed: true };
  return new ProgramError({ command, ...nothing, canceled, timedOut }, { cause });
}

function messageOf({ command, exitCode, signal, canceled, timedOut }: ProgramResult): string {
  if (exitCode === undefined && signal === undefined)
    return `${command[0]} was ${canceled ? 'canceled' : 'not started'} before its ${canceled ? 'start' : 'timeout'}`;
  const end = signal === undefined ? `exited with code ${exitCode}` : `was ended by ${signal}`;
  const why = canceled ? ' after it was canceled' : timedOut ? ' after its timeout' : '';
  return `${command[0]} ${end}${why}`;
}
