/** Joins our own standard streams and a container's. */
import { spawnSync } from 'node:child_process';
import type { ContainerStream } from '../parent/api/container-client.js';
import type { TerminalSize } from '../protocol/containers.js';

export interface StreamOptions {
  /** The program has a terminal, which ours is to be like. */
  tty: boolean;
  /** It is to get our standard input. */
  stdin: boolean;
  /** Whether it gets our signals. */
  signals?: boolean;
  /** Another way for a signal, for when the stream is full of input that nobody reads. */
  kill?: (signal: NodeJS.Signals) => Promise<void>;
}

/** Of our terminal; undefined where there is none. */
export function ownSize(): TerminalSize | undefined {
  const { columns, rows } = process.stdout;
  return columns > 0 && rows > 0 ? { columns, rows } : undefined;
}

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT', 'SIGUSR1', 'SIGUSR2'] as const;

/** Resolves with the program's exit code. Throws APIError. */
export async function runStream(
  stream: ContainerStream,
  { tty, stdin, signals = true, kill }: StreamOptions,
): Promise<number> {
  const raw = tty && stdin && process.stdin.isTTY;
  const resize = () => {
    const size = ownSize();
    if (size) stream.control({ type: 'resize', ...size });
  };
  let ended = false;
  let full = false;
  const input = async (data: Buffer) => {
    process.stdin.pause();
    full = true;
    await stream.write(data);
    full = false;
    if (!ended) process.stdin.resume();
  };
  const inputEnd = () => stream.control({ type: 'stdin-end' });
  const pass = (signal: NodeJS.Signals) => {
    if (full && kill) kill(signal).catch(() => {});
    else stream.control({ type: 'signal', signal });
  };
  if (tty && process.stdout.isTTY) {
    resize();
    process.stdout.on('resize', resize);
  }
  if (raw) {
    process.stdin.setRawMode(true);
    // Node leaves our terminal adding a carriage return to each line feed, which the container's has done if it should.
    spawnSync('stty', ['-opost'], { stdio: ['inherit', 'ignore', 'ignore'] });
  }
  if (stdin) process.stdin.on('data', input).on('end', inputEnd);
  if (signals && !raw) for (const name of SIGNALS) process.on(name, pass);
  // Not before: what is typed when the first of it shows is for the program.
  stream.listen((name, data) => {
    if (process[name].write(data)) return;
    stream.pause();
    process[name].once('drain', () => stream.resume());
  });
  try {
    return await stream.exit;
  } finally {
    ended = true;
    if (raw) process.stdin.setRawMode(false);
    if (stdin) process.stdin.off('data', input).off('end', inputEnd).pause();
    process.stdout.off('resize', resize);
    for (const name of SIGNALS) process.off(name, pass);
    stream.close();
  }
}
