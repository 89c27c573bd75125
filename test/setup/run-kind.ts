// Runs one job of tests in the environment that it needs, and counts.
import { spawnSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { repoRoot } from '../support/paths.js';
import { describeJob, type Job } from './jobs.js';
import { testUser } from './machine/prepare.js';
import { checkNamespaces, type Output, runInForeground, runInNamespaces } from './namespaces.js';
import { makeProgramDirectory } from './program-directory.js';
import { readableCopy } from './readable-copy.js';
import { type Counts, countFailure, countsVariable, readCounts, withExitCode } from './results/counts.js';
import { endLeftovers } from './results/leftovers.js';

/** How a job is run. */
export interface RunOptions {
  /** Options for the run of mocha, such as --grep. */
  options: readonly string[];
  /** Receives what the run prints; without one it is printed as it comes. */
  output?: Output;
}

/** Words for mocha-run.js. */
function wordsOf({ kind, shard }: Job, options: readonly string[]): string[] {
  return [kind, ...(shard ? [`--shard=${shard.number}/${shard.of}`] : []), ...options];
}

/** Runs the tests as the caller, in the caller's namespaces. */
export async function runAsCaller(job: Job, { options, output }: RunOptions): Promise<Counts> {
  const directory = mkdtempSync(join(tmpdir(), 'rnt-'));
  const counts = join(directory, 'counts.json');
  const id = randomUUID();
  mkdirSync(join(directory, 'tmp'));
  try {
    const code = await runInForeground(
      process.execPath,
      [join(repoRoot, 'dist', 'test', 'setup', 'mocha-run.js'), ...wordsOf(job, options)],
      {
        env: {
          ...process.env,
          PATH: makeProgramDirectory(join(directory, 'programs')),
          TMPDIR: join(directory, 'tmp'),
          ROOTLESS_NET_TEST_RUN: id,
          [countsVariable]: counts,
        },
        output,
      },
    );
    const result = withExitCode(readCounts(counts), code);
    for (const line of await endLeftovers(({ pid }) => environmentOf(pid).includes(`ROOTLESS_NET_TEST_RUN=${id}`))) {
      countFailure(result, `The tests left a process behind (${describeJob(job)}): ${line}`);
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

/** Directories of isolated runs are below /tmp: the TMPDIR of root may be closed to the test user. Sockets are in them,
 * whose paths are limited to 107 bytes. */
const runDirectoryPrefix = '/tmp/rnt-';

let copy: ReturnType<typeof readableCopy> | undefined;

/** Node and the checkout as the test user can read them: copied once a process, where they have to be. */
function readableByTestUser(): ReturnType<typeof readableCopy> {
  if (copy) return copy;
  const directory = mkdtempSync(runDirectoryPrefix);
  process.once('exit', () => rmSync(directory, { recursive: true, force: true }));
  chmodSync(directory, 0o755);
  copy = readableCopy(directory, testUser);
  return copy;
}

/**
 * Runs the tests as the unprivileged test user in network, mount and pid namespaces made for the run, with a home
 * directory of its own; only root can. What they leave behind is found there, and nothing of it outlives the run.
 *
 * @throws {PrepareError} if the kernel or the container that this runs in refuses the namespaces
 */
export async function runIsolated(job: Job, { options, output }: RunOptions): Promise<Counts> {
  const { node, root } = readableByTestUser();
  const directory = mkdtempSync(runDirectoryPrefix);
  try {
    chmodSync(directory, 0o755);
    for (const name of ['home', 'run', 'tmp']) {
      mkdirSync(join(directory, name), { mode: 0o700 });
      spawnSync('chown', [`${testUser}:`, join(directory, name)]);
    }
    checkNamespaces();
    const isolated = join(repoRoot, 'dist', 'test', 'setup', 'isolated.js');
    const words = [directory, testUser, node, root, ...wordsOf(job, options)];
    const code = await runInNamespaces([process.execPath, isolated, ...words], process.env, output);
    return withExitCode(readCounts(join(directory, 'counts.json'), join(directory, 'run', 'counts.json')), code);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}
