import { spawn } from 'node:child_process';

export interface RunOptions {
  cwd?: string;
  /** Added to the environment; undefined takes a variable away. */
  env?: Record<string, string | undefined>;
  /** Written to standard input, which is then closed; without it standard input is empty. */
  input?: string | Buffer;
  /** Milliseconds, 30,000 by default; after that the program is killed and the promise rejects. */
  timeout?: number;
}

export interface RunResult {
  /** Exit code; null if a signal ended the program. */
  code: number | null;
  signal: NodeJS.Signals | null;
  stdout: string;
  stderr: string;
}

/**
 * Runs a program to its end. Resolves whatever its exit code is; rejects if it does not start or exceeds the
 * time limit (its output is then in the message).
 */
export function run(command: string, args: readonly string[] = [], options: RunOptions = {}): Promise<RunResult> {
  const { timeout = 30_000 } = options;
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      cwd: options.cwd,
      env: { ...process.env, ...options.env },
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    const stdout: Buffer[] = [];
    const stderr: Buffer[] = [];
    child.stdout.on('data', (chunk: Buffer) => stdout.push(chunk));
    child.stderr.on('data', (chunk: Buffer) => stderr.push(chunk));
    // A program that does not read its input closes it: that is its own affair.
    child.stdin.on('error', () => {});
    child.stdin.end(options.input);
    const output = () => ({ stdout: Buffer.concat(stdout).toString(), stderr: Buffer.concat(stderr).toString() });
    const timer = setTimeout(() => {
      child.kill('SIGKILL');
      // A descendant may hold the pipes open for ever.
      child.stdout.destroy();
      child.stderr.destroy();
      const { stdout: out, stderr: err } = output();
      reject(new Error(`${[command, ...args].join(' ')} did not end within ${timeout} ms:\n${out}${err}`));
    }, timeout);
    child.once('error', (error) => {
      clearTimeout(timer);
      reject(error);
    });
    child.once('close', (code, signal) => {
      clearTimeout(timer);
      resolve({ code, signal, ...output() });
    });
  });
}
