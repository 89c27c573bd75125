// Network, mount and pid namespaces made for a run, by root: nothing on the machine disturbs it, and nothing of
// it outlives it.
import { spawn, spawnSync } from 'node:child_process';
import { repoRoot } from '../support/paths.js';
import { PrepareError } from './prepare.js';

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

/** Runs a command as root in new namespaces, with our standard streams; resolves to its exit code. */
export function runInNamespaces(command: readonly string[], env?: NodeJS.ProcessEnv): Promise<number> {
  // A shell is the first process there, since it reaps orphans. Mounts are shared, as systemd has them.
  const script = 'mount --make-rshared / && { "$@" & wait $!; }';
  return runInForeground('unshare', [...options, 'sh', '-c', script, 'sh', ...command], env);
}

/** Runs a program with our standard streams; a signal that ends us ends it, too. Resolves to its exit code. */
export function runInForeground(
  command: string,
  args: readonly string[],
  env: NodeJS.ProcessEnv = process.env,
): Promise<number> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { env, cwd: repoRoot, stdio: ['ignore', 'inherit', 'inherit'] });
    const forward = (signal: NodeJS.Signals) => child.kill(signal);
    const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
    for (const signal of signals) process.on(signal, forward);
    child.once('error', reject);
    child.once('exit', (code, signal) => {
      for (const name of signals) process.off(name, forward);
      if (signal) process.stderr.write(`${command} was ended by ${signal}\n`);
      resolve(code ?? 1);
    });
  });
}
