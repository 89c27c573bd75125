// Network, mount and pid namespaces made for a run, by root: nothing on the machine disturbs it, and nothing of
// it outlives it.
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { repoRoot } from '../support/paths.js';
import { PrepareError } from './machine/prepare.js';

const options = [
  ...['--net', '--mount', '--propagation', 'private', '--pid', '--fork', '--kill-child', '--mount-proc'],
];

/** @throws {PrepareError} if the kernel, or the container that we are in, refuses them */
export function checkNamespaces(): void {
  const probe = spawnSync('unshare', [...options, 'true'], { encoding: 'utf8' });
  if (probe.status === 0) return;
  throw new PrepareError(
    `Root cannot make network, mount and pid namespaces here (${probe.error?.message ?? probe.stderr.trim()}); ` +
      'run this as an ordinary user, or in a container that is privileged',
  );
}

/** Receives what a run prints; without one it is printed as it comes. */
export type Output = (text: string) => void;

/** Runs a command as root in new namespaces; resolves to its exit code. */
export function runInNamespaces(
  command: readonly string[],
  env: NodeJS.ProcessEnv = process.env,
  output?: Output,
): Promise<number> {
  // A shell is the first process there, since it reaps orphans. Mounts are shared, as systemd has them.
  const script = 'mount --make-rshared / && { "$@" & wait $!; }';
  // unshare(1) ignores the other signals while its child runs; its own end is that of all in the namespaces.
  return runInForeground('unshare', [...options, 'sh', '-c', script, 'sh', ...command], {
    env,
    output,
    endBy: 'SIGKILL',
  });
}

export interface ForegroundOptions {
  env?: NodeJS.ProcessEnv;
  output?: Output | undefined;
  /** Sent to the program in place of the signal that ends this process. */
  endBy?: NodeJS.Signals;
}

/** Runs a program; a signal that ends this process ends it, too. Resolves to its exit code. */
export function runInForeground(
  command: string,
  args: readonly string[],
  { env = process.env, output, endBy }: ForegroundOptions = {},
): Promise<number> {
  return new Promise((resolve, reject) => {
    const streams = output ? 'pipe' : 'inherit';
    const child = spawn(command, args, { env, cwd: repoRoot, stdio: ['ignore', streams, streams] });
    const read = output && passOn(child, output);
    const forward = (signal: NodeJS.Signals) => child.kill(endBy ?? signal);
    const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
    for (const signal of signals) process.on(signal, forward);
    child.once('error', reject);
    child.once('exit', (code, signal) => {
      for (const name of signals) process.off(name, forward);
      if (signal) process.stderr.write(`${command} was ended by ${signal}\n`);
      // A process that was left behind may keep the streams open.
      void Promise.race([read, delay(output ? 1000 : 0)]).then(() => resolve(code ?? 1));
    });
  });
}

/** Passes on what a process prints; resolves when it can print no more. */
async function passOn({ stdout, stderr }: ChildProcess, output: Output): Promise<void> {
  const streams = [stdout, stderr].filter((stream) => stream !== null);
  for (const stream of streams) stream.setEncoding('utf8').on('data', output);
  await Promise.all(streams.map((stream) => once(stream, 'close')));
}
