/**
 * Runs programs of the host. With Node's own child_process: loading execa takes longer than a whole start of a stack.
 */
import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process';
import { errnoName, errorText } from '../errors.js';

/** How a program ended; not an exception: only the caller knows what it means. */
export interface ProgramEnd {
  /** Undefined if a signal ended it, or it was not started. */
  exitCode: number | undefined;
  signal: string | undefined;
  /** Standard output. */
  stdout: string;
  /** Standard output and standard error, in the order in which they arrived. */
  output: string;
  /** For error messages: `exit code 1`, `SIGKILL`, `ENOENT`. */
  problem: string;
}

/** Resolves when the program has ended and its output is complete. */
function endOf(child: ChildProcess): Promise<ProgramEnd> {
  return new Promise((resolve) => {
    let stdout = '';
    let output = '';
    child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      stdout += text;
      output += text;
    });
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      output += text;
    });
    child.once('error', (error) => {
      // Where it runs, an error is about a signal that could not be sent.
      if (child.pid !== undefined) return;
      const problem = errnoName(error) ?? errorText(error);
      resolve({ exitCode: undefined, signal: undefined, stdout, output, problem });
    });
    child.once('close', (code, signal) => {
      const problem = signal ?? `exit code ${code}`;
      resolve({ exitCode: code ?? undefined, signal: signal ?? undefined, stdout, output, problem });
    });
  });
}

/** Has Node load what it takes to start programs: some milliseconds, for a time in which there is nothing else to do. */
export function prepareToRunPrograms(): void {
  // A bundle loads the module at the first use of one of its names (scripts/load-bundle.cjs).
  if (typeof spawn !== 'function') throw new TypeError('node:child_process has no spawn');
}

/** Starts a program; `ended` resolves in any case. */
export function startProgram(
  program: string,
  args: readonly string[],
  options: SpawnOptions,
): { child: ChildProcess; ended: Promise<ProgramEnd> } {
  const child = spawn(program, args, options);
  return { child, ended: endOf(child) };
}

const running = new Set<ChildProcess>();
let killsAtExit = false;

/** Not where this module is loaded: that is to have no effect on programs that use the library. */
function killAtExit(): void {
  if (killsAtExit) return;
  killsAtExit = true;
  process.on('exit', () => {
    for (const child of running) child.kill('SIGKILL');
  });
}

/** Runs a program to its end, without input. It is killed after `timeout` ms, and when this process ends. */
export async function runProgramToEnd(
  program: string,
  args: readonly string[],
  { timeout }: { timeout?: number } = {},
): Promise<ProgramEnd> {
  const { child, ended } = startProgram(program, args, {
    stdio: ['ignore', 'pipe', 'pipe'],
    ...(timeout === undefined ? {} : { timeout, killSignal: 'SIGKILL' }),
  });
  killAtExit();
  running.add(child);
  try {
    return await ended;
  } finally {
    running.delete(child);
  }
}
