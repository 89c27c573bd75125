// Runs the tests of one kind in the surroundings that they need, and counts.
import { spawn, spawnSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { chmodSync, cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { repoRoot } from '../support/paths.js';
import { type Counts, countsVariable, readCounts } from './counts.js';
import { endLeftovers } from './leftovers.js';
import { PrepareError, testUser } from './prepare.js';
import { testPath } from './requirements.js';
import type { Kind } from './test-files.js';

/** Runs a program with our standard streams; a signal that ends us ends it, too. Resolves to its exit code. */
function runInForeground(command: string, args: readonly string[], env: NodeJS.ProcessEnv): Promise<number> {
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

/** Runs the tests as the caller, in the caller's namespaces. */
export async function runAsCaller(kind: Kind, options: readonly string[]): Promise<Counts> {
  const directory = mkdtempSync(join(tmpdir(), 'rnt-'));
  const counts = join(directory, 'counts.json');
  const id = randomUUID();
  mkdirSync(join(directory, 'tmp'));
  try {
    const code = await runInForeground(
      process.execPath,
      [join(repoRoot, 'dist', 'test', 'setup', 'mocha-run.js'), kind, ...options],
      {
        ...process.env,
        PATH: `${process.env.PATH}:${testPath}`,
        TMPDIR: join(directory, 'tmp'),
        ROOTLESS_NET_TEST_RUN: id,
        [countsVariable]: counts,
      },
    );
    const result = readCounts(counts);
    if (code !== 0 && result.failed === 0) result.failed = 1;
    for (const line of await endLeftovers(({ pid }) => environmentOf(pid).includes(`ROOTLESS_NET_TEST_RUN=${id}`))) {
      process.stderr.write(`The tests left a process behind: ${line}\n`);
      result.failed++;
    }
    return result;
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

function environmentOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/environ`, 'utf8');
  } catch {
    return '';
  }
}

/**
 * Runs the tests as the unprivileged test user in network, mount and pid namespaces made for the run; only root
 * can. Whatever they leave behind is found there, and nothing of it outlives the run.
 *
 * @throws {PrepareError} if the kernel or the container that we are in refuses the namespaces
 */
export async function runIsolated(kind: Kind, options: readonly string[]): Promise<Counts> {
  // A short path: sockets live in it, and theirs must not exceed 107 bytes. /tmp, since our own TMPDIR may be
  // closed to the test user.
  const directory = mkdtempSync('/tmp/rnt-');
  try {
    chmodSync(directory, 0o755);
    for (const name of ['run', 'tmp']) {
      mkdirSync(join(directory, name), { mode: 0o700 });
      spawnSync('chown', [`${testUser}:`, join(directory, name)]);
    }
    const { node, root } = readableCopy(directory);
    const namespaces = [
      ...['--net', '--mount', '--propagation', 'private', '--pid', '--fork', '--kill-child', '--mount-proc'],
    ];
    const probe = spawnSync('unshare', [...namespaces, 'true'], { encoding: 'utf8' });
    if (probe.status !== 0) {
      throw new PrepareError(
        `Root cannot make network, mount and pid namespaces here (${probe.error?.message ?? probe.stderr.trim()}); ` +
          'run the tests as an ordinary user, or in a container that is privileged',
      );
    }
    // A shell is the first process there, since it reaps orphans. Mounts are shared, as systemd has them.
    const script = 'mount --make-rshared / && { "$@" & wait $!; }';
    const isolated = join(repoRoot, 'dist', 'test', 'setup', 'isolated.js');
    const code = await runInForeground(
      'unshare',
      [
        ...[...namespaces, 'sh', '-c', script, 'sh'],
        ...[process.execPath, isolated, directory, testUser, node, root, kind, ...options],
      ],
      process.env,
    );
    const result = readCounts(join(directory, 'counts.json'));
    if (code !== 0 && result.failed === 0) result.failed = 1;
    return result;
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/** Where the test user finds node and the checkout: where they are, or copied if they are closed to that user. */
function readableCopy(directory: string): { node: string; root: string } {
  const reads = (flag: '-r' | '-x', path: string) => {
    const drop = [`--reuid=${testUser}`, `--regid=${testUser}`, '--init-groups'];
    return spawnSync('setpriv', [...drop, 'test', flag, path], { stdio: 'ignore' }).status === 0;
  };
  let node = realpathSync(process.execPath);
  if (!reads('-x', node)) {
    mkdirSync(join(directory, 'bin'));
    cpSync(node, join(directory, 'bin', 'node'));
    node = join(directory, 'bin', 'node');
  }
  const needed = [
    'package.json',
    'dist/test/run.js',
    'native/build/Release/launcher',
    'node_modules/mocha/package.json',
  ]
    .map((path) => join(repoRoot, path))
    .filter((path) => existsSync(path));
  if (needed.every((path) => reads('-r', path))) return { node, root: repoRoot };
  const root = join(directory, 'checkout');
  mkdirSync(root);
  const unneeded = /\/node_modules\/(typescript|@typescript|@biomejs)(\/|$)/;
  for (const path of ['package.json', 'dist', 'native/build/Release', 'node_modules']) {
    if (!existsSync(join(repoRoot, path))) continue;
    cpSync(join(repoRoot, path), join(root, path), {
      recursive: true,
      verbatimSymlinks: true,
      filter: (source) => !unneeded.test(source),
    });
  }
  // Whatever umask they were made with.
  spawnSync('chmod', ['-R', 'a+rX', root]);
  return { node, root };
}
