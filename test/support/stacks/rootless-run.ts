// rootless-run as a program that runs to its end. For one that runs beside the test see stack.ts.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { accessSync, constants, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { binPath } from '../paths.js';
import { describeProcess, isAlive, listProcesses } from '../process-info.js';
import { type RunOptions, type RunResult, run } from '../run.js';
import { tempDir } from '../temp-dir.js';
import { waitFor } from '../wait-for.js';

/** The words that start rootless-run with these arguments, for a program that runs another. */
export function runWords(...args: string[]): [program: string, ...rest: string[]] {
  return [binPath('rootless-run'), ...args];
}

/** Runs a shell script in the namespaces; loopback only (`--net=none`) by default. */
export function runScript(script: string, args: readonly string[] = ['--net=none'], options: RunOptions = {}) {
  const [program, ...rest] = runWords(...args, '--', 'sh', '-c', script);
  return run(program, rest, options);
}

/**
 * Runs a script as root of a user namespace and a mount namespace made for it, where it can mount what it likes. `words`
 * are its "$@". Mounts made by it are shared with namespaces below it.
 */
export function runNested(script: string, words: readonly string[], options: RunOptions = {}): Promise<RunResult> {
  const namespaces = ['--user', '--map-root-user', '--mount', '--propagation=shared'];
  return run('unshare', [...namespaces, 'sh', '-euc', script, 'sh', ...words], options);
}

/** For runNested(): the network driver builtin cannot be used, since it needs a second network namespace. */
export const WITHOUT_BUILTIN = 'echo 1 > /proc/sys/user/max_net_namespaces; exec "$@"';

/** A directory for PATH that holds these programs, found where PATH has them now, and `fakes` as shell scripts. */
export function pathWith(programs: readonly string[], fakes: Readonly<Record<string, string>> = {}): string {
  const directory = tempDir();
  for (const name of programs) symlinkSync(findOnPath(name), join(directory, name));
  for (const [name, script] of Object.entries(fakes)) {
    writeFileSync(join(directory, name), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
  }
  return directory;
}

function findOnPath(name: string): string {
  const found = (process.env.PATH ?? '')
    .split(':')
    .map((directory) => join(directory, name))
    .find((path) => {
      try {
        accessSync(path, constants.X_OK);
        return true;
      } catch {
        return false;
      }
    });
  if (found === undefined) throw new Error(`${name} is not on PATH`);
  return found;
}

export interface Refusal {
  /** Exit code, 125 by default. */
  code?: number;
  env?: RunOptions['env'];
  cwd?: string;
}

/**
 * Asserts that a program fails with one line of rootless-run on standard error that matches, prints nothing else, and
 * leaves neither a process nor a temporary state directory.
 */
export async function refuses(words: readonly string[], expected: RegExp, refusal: Refusal = {}): Promise<void> {
  const temporary = tempDir();
  const mark = `ROOTLESS_NET_TEST_MARK=${randomUUID()}`;
  const [name = '', value = ''] = mark.split('=');
  const [program = '', ...args] = words;
  const { stdout, stderr, code } = await run(program, args, {
    ...(refusal.cwd !== undefined && { cwd: refusal.cwd }),
    env: { TMPDIR: temporary, [name]: value, ...refusal.env },
  });
  assert.match(stderr, expected);
  assert.match(stderr, /^rootless-run: error: [^\n]+\n$/, 'one line');
  assert.doesNotMatch(stderr, /internal error/);
  assert.equal(stdout, '');
  assert.equal(code, refusal.code ?? 125);
  assert.deepEqual(readdirSync(temporary), [], 'no state directory is left');
  const left = () => listProcesses().filter(({ pid }) => isAlive(pid) && environmentOf(pid).includes(mark));
  await waitFor(() => left().length === 0).catch(() => {
    assert.fail(`left behind: ${left().map(describeProcess).join('; ')}`);
  });
}

function environmentOf(pid: number): string[] {
  try {
    return readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0');
  } catch {
    return [];
  }
}
