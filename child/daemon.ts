/**
 * Starts programs that serve a UNIX socket for as long as the agent runs, such as wireguard-go and the daemon of the CNI plugin
 * dhcp. They end with the agent, however that ends.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect } from 'node:net';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';

/** How long one may take to accept connections, in ms. */
const START_TIMEOUT_MS = 10_000;

export interface DaemonOptions {
  /** The program and its arguments. */
  command: readonly string[];
  env: NodeJS.ProcessEnv;
  /** Path of the socket, by the process id. */
  socketOf: (pid: number | undefined) => string;
  /** What is read of its output; the rest is discarded. */
  output: readonly ('stdout' | 'stderr')[];
  /** Called with each line; returns it as messages show it, "" for one that explains nothing. */
  onLine: (line: string) => string;
}

export interface Daemon {
  child: ChildProcess;
  socket: string;
}

/** A daemon did not come up; the message is why, without the daemon's name. */
export class DaemonError extends Error {
  override name = 'DaemonError';

  /** @param exitCode undefined while it had not ended, null where a signal ended it */
  constructor(
    message: string,
    readonly exitCode: number | null | undefined,
  ) {
    super(message);
  }
}

/** Resolves when it accepts connections. Throws DaemonError, and then it has been killed. */
export async function startDaemon({ command, env, socketOf, output, onLine }: DaemonOptions): Promise<Daemon> {
  const piped = (stream: 'stdout' | 'stderr') => (output.includes(stream) ? 'pipe' : 'ignore');
  const child = spawn('setpriv', ['--pdeathsig', 'KILL', ...command], {
    cwd: '/',
    env,
    stdio: ['ignore', piped('stdout'), piped('stderr')],
    // Ctrl-C must not end it before the containers.
    detached: true,
  });
  let failure: Error | undefined;
  child.once('error', (error) => {
    failure = error;
  });
  // By then its last output has been read.
  let exitCode: number | null | undefined;
  child.once('close', (code) => {
    exitCode = code;
  });
  let lastLine = '';
  for (const input of [child.stdout, child.stderr]) {
    if (!input) continue;
    createInterface({ input }).on('line', (line) => {
      lastLine = onLine(line) || lastLine;
    });
  }
  const socket = socketOf(child.pid);
  for (const deadline = performance.now() + START_TIMEOUT_MS; !(await accepts(socket)); await delay(5)) {
    if (failure === undefined && exitCode === undefined && performance.now() < deadline) continue;
    child.kill('SIGKILL');
    throw new DaemonError(failure?.message ?? (lastLine || 'it does not accept connections'), exitCode);
  }
  return { child, socket };
}

/** Kills one, and waits until it has ended. */
export async function endDaemon(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill('SIGKILL');
  await once(child, 'exit');
}

function accepts(socketPath: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(socketPath);
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}
