import { type ChildProcess, spawn } from 'node:child_process';
import { connect } from 'node:net';
import { isAlive } from './process-info.js';
import { waitFor } from './wait-for.js';

/** When a started program counts as ready: it accepts a connection, has printed something, or what you test. */
export type Readiness =
  | { tcp: { host: string; port: number } }
  | { output: RegExp }
  | { check: () => boolean | Promise<boolean> };

export interface StartOptions {
  ready: Readiness;
  cwd?: string;
  /** Added to the environment; undefined takes a variable away. */
  env?: Record<string, string | undefined>;
  /** Milliseconds until it has to be ready; 20,000 by default. */
  timeout?: number;
}

/** A program that runs beside the test. */
export interface Started extends AsyncDisposable {
  readonly pid: number;
  readonly child: ChildProcess;
  /** What it has written so far, standard output and standard error together. */
  output(): string;
  /** Resolves when it has ended and its output is complete (so a descendant that keeps the pipes delays it). */
  readonly ended: Promise<{ code: number | null; signal: NodeJS.Signals | null }>;
  /** Sends the signal (SIGTERM by default) and awaits the end; rejects, after SIGKILL, if it needs over 10 s. */
  stop(signal?: NodeJS.Signals): Promise<{ code: number | null; signal: NodeJS.Signals | null }>;
}

const running = new Set<ChildProcess>();

/** What start() has started and has not ended. */
export function startedPrograms(): ReadonlySet<ChildProcess> {
  return new Set(running);
}

/** Ends a program, and lets go of its output, which a descendant of its may hold open. */
export function abandon(child: ChildProcess): void {
  child.kill('SIGKILL');
  child.stdout?.destroy();
  child.stderr?.destroy();
}

process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

/** True if something accepts a TCP connection there. */
export function accepts(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host, port });
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}

/**
 * Starts a program and resolves when it is ready; rejects, with its output, if it ends first or takes too long
 * (and kills it then). With `await using` it is stopped at the end of the block.
 */
export async function start(command: string, args: readonly string[], options: StartOptions): Promise<Started> {
  const line = [command, ...args].join(' ');
  const child = spawn(command, args, {
    cwd: options.cwd,
    env: { ...process.env, ...options.env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let text = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8');
    stream.on('data', (chunk: string) => {
      text += chunk;
    });
  }
  running.add(child);
  child.once('exit', () => running.delete(child));
  const ended = new Promise<{ code: number | null; signal: NodeJS.Signals | null }>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) => resolve({ code, signal }));
  });
  // It rejects for those who await it; it need not be awaited.
  ended.catch(() => {});
  const { pid } = child;
  if (pid === undefined) {
    await ended;
    throw new Error(`${line} did not start`);
  }

  const stop = async (signal: NodeJS.Signals = 'SIGTERM') => {
    child.kill(signal);
    try {
      await waitFor(() => !isAlive(pid), { what: `the end of ${line} after ${signal}` });
    } catch (error) {
      abandon(child);
      throw error;
    }
    return ended;
  };

  const { ready } = options;
  const isReady = () => {
    if ('tcp' in ready) return accepts(ready.tcp.host, ready.tcp.port);
    if ('output' in ready) return ready.output.test(text);
    return ready.check();
  };
  const hasEnded = () => child.exitCode !== null || child.signalCode !== null;
  try {
    await waitFor(async () => hasEnded() || (await isReady()), {
      timeout: options.timeout ?? 20_000,
      what: `${line} to be ready`,
    });
  } catch (error) {
    abandon(child);
    throw new Error(`${line} did not become ready; its output:\n${text}`, { cause: error });
  }
  // A program may print the word and end, which is fine if the word was waited for.
  if (hasEnded() && !('output' in ready && ready.output.test(text))) {
    const { code, signal } = await ended;
    throw new Error(`${line} ended (${signal ?? code}) before it was ready; its output:\n${text}`);
  }
  return {
    pid,
    child,
    output: () => text,
    ended,
    stop,
    [Symbol.asyncDispose]: async () => {
      if (!hasEnded()) await stop();
    },
  };
}
