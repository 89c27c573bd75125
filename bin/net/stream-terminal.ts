/** Connects the standard streams of this process with a container's. */
import { spawnSync } from 'node:child_process';
import type { ContainerStream } from '../../parent/client/container-stream.js';
import type { TerminalSize } from '../../protocol/containers/types.js';
import { DetachKeys, parseDetachKeys } from './detach-keys.js';

export interface StreamOptions {
  /** Whether the program has a terminal, which our terminal's size and mode apply to. */
  tty: boolean;
  /** Whether our standard input is forwarded. */
  stdin: boolean;
  /** Whether our signals are forwarded. */
  signals?: boolean;
  /** Keys that end the connection where our standard input is the program's terminal; none for "", or where absent. */
  detachKeys?: string | undefined;
  /** Sends a signal by another path, for when the stream is full of input that the program does not read. */
  kill?: (signal: NodeJS.Signals) => Promise<void>;
}

/** The size of our terminal; undefined if there is none. */
export function ownSize(): TerminalSize | undefined {
  const { columns, rows } = process.stdout;
  return columns > 0 && rows > 0 ? { columns, rows } : undefined;
}

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT', 'SIGUSR1', 'SIGUSR2'] as const;

/** Resolves with the exit code of the program; 0 where the user has typed the keys to detach. Throws APIError. */
export async function runStream(
  stream: ContainerStream,
  { tty, stdin, signals = true, detachKeys = '', kill }: StreamOptions,
): Promise<number> {
  const raw = tty && stdin && process.stdin.isTTY;
  const keys = new DetachKeys(raw ? parseDetachKeys(detachKeys) : Buffer.alloc(0));
  let detach = () => {};
  const detaching = new Promise<number>((resolve) => {
    detach = () => resolve(0);
  });
  const resize = () => {
    const size = ownSize();
    if (size) stream.control({ type: 'resize', ...size });
  };
  let ended = false;
  let full = false;
  const input = async (typed: Buffer) => {
    const { data, detached } = keys.filter(typed);
    if (detached) detach();
    if (data.length === 0) return;
    process.stdin.pause();
    full = true;
    await stream.write(data);
    full = false;
    if (!ended) process.stdin.resume();
  };
  const endInput = () => stream.control({ type: 'stdin-end' });
  const forward = (signal: NodeJS.Signals) => {
    if (full && kill) kill(signal).catch(() => {});
    else stream.control({ type: 'signal', signal });
  };
  if (tty && process.stdout.isTTY) {
    resize();
    process.stdout.on('resize', resize);
  }
  if (raw) {
    process.stdin.setRawMode(true);
    // In Node's raw mode our terminal still adds carriage returns, which the container's terminal has added if it should.
    spawnSync('stty', ['-opost'], { stdio: ['inherit', 'ignore', 'ignore'] });
  }
  if (stdin) process.stdin.on('data', input).on('end', endInput);
  if (signals && !raw) for (const name of SIGNALS) process.on(name, forward);
  // Last, since the user may type as soon as the first output appears.
  stream.listen((name, data) => {
    if (process[name].write(data)) return;
    stream.pause();
    process[name].once('drain', () => stream.resume());
  });
  try {
    return await Promise.race([stream.exit, detaching]);
  } finally {
    ended = true;
    if (raw) process.stdin.setRawMode(false);
    if (stdin) process.stdin.off('data', input).off('end', endInput).pause();
    process.stdout.off('resize', resize);
    for (const name of SIGNALS) process.off(name, forward);
    stream.close();
  }
}
