// Runs the tests of one kind in the surroundings that they need, and counts.
import { spawnSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { repoRoot } from '../support/paths.js';
import { type Counts, countsVariable, readCounts } from './counts.js';
import { endLeftovers } from './leftovers.js';
import { checkNamespaces, runInForeground, runInNamespaces } from './namespaces.js';
import { testUser } from './prepare.js';
import { readableCopy } from './readable-copy.js';
import { testPath } from './requirements.js';
import type { Kind } from './test-files.js';

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
    const { node, root } = readableCopy(directory, testUser);
    checkNamespaces();
    const isolated = join(repoRoot, 'dist', 'test', 'setup', 'isolated.js');
    const code = await runInNamespaces([
      ...[process.execPath, isolated, directory, testUser, node, root, kind, ...options],
    ]);
    const result = readCounts(join(directory, 'counts.json'));
    if (code !== 0 && result.failed === 0) result.failed = 1;
    return result;
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}
