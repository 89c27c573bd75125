// Gives the machine what the integration tests need: as root by doing it, else by saying what is missing.
import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { freeSubIdStart, missingForUser, missingPackages, readSubIds } from './requirements.js';

/** The unprivileged user that the integration tests run as when root starts them. */
export const testUser = 'rootless-test';

const subIdCount = 65_536;

/** The machine lacks what the tests need, and this process may not, or cannot, provide it. */
export class PrepareError extends Error {
  override name = 'PrepareError';
}

/**
 * Sets up what is missing; quick and silent if nothing is.
 *
 * @throws {PrepareError} with a message about what is missing and how to get it
 */
export function prepare(): void {
  if (process.getuid?.() !== 0) {
    const missing = missingForUser();
    if (missing.length > 0) throw new PrepareError(`The tests need:\n  ${missing.join('\n  ')}`);
    return;
  }
  installPackages(missingPackages());
  makeUser(testUser);
  openTun();
}

function installPackages(packages: readonly string[]): void {
  if (packages.length === 0) return;
  process.stderr.write(`Installing Debian packages for the tests: ${packages.join(' ')}\n`);
  // Another apt-get may be at work, on a machine that has just been started above all.
  const lockWait = ['-o', 'DPkg::Lock::Timeout=120'];
  const environment = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  // Installing a server must not start it: it would take its port on this machine. See invoke-rc.d(8).
  const policy = '/usr/sbin/policy-rc.d';
  const ownPolicy = !existsSync(policy);
  if (ownPolicy) writeFileSync(policy, '#!/bin/sh\nexit 101\n', { mode: 0o755 });
  try {
    command('apt-get', [...lockWait, 'update', '-qq'], environment);
    command('apt-get', [...lockWait, 'install', '-y', '-qq', '--no-install-recommends', ...packages], environment);
  } finally {
    if (ownPolicy) rmSync(policy, { force: true });
  }
  const still = missingPackages();
  if (still.length > 0)
    throw new PrepareError(`These packages did not bring the expected programs: ${still.join(' ')}`);
}

/**
 * Makes a user with sub-ids, unless there is one of that name; only root can.
 *
 * @throws {PrepareError}
 */
export function makeUser(name: string): void {
  if (spawnSync('id', [name], { stdio: 'ignore' }).status !== 0) {
    command('useradd', ['--create-home', '--shell', '/bin/bash', name]);
  }
  for (const [file, option] of [
    ['/etc/subuid', '--add-subuids'],
    ['/etc/subgid', '--add-subgids'],
  ] as const) {
    const ranges = readSubIds(file);
    // useradd may have given some already.
    if (ranges.some(({ user, count }) => user === name && count >= subIdCount)) continue;
    const start = freeSubIdStart(ranges, subIdCount);
    command('usermod', [option, `${start}-${start + subIdCount - 1}`, name]);
  }
}

function openTun(): void {
  const tun = '/dev/net/tun';
  if (!existsSync(tun)) {
    mkdirSync('/dev/net', { recursive: true });
    command('mknod', [tun, 'c', '10', '200']);
  }
  // As udev does it everywhere; without it neither slirp4netns nor pasta can work without root.
  chmodSync(tun, 0o666);
}

/** Runs a command; if it fails, throws its output. */
function command(name: string, args: readonly string[], env: NodeJS.ProcessEnv = process.env): void {
  const result = spawnSync(name, args, { env, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
  if (result.error) throw new PrepareError(`${name} does not start: ${result.error.message}`);
  if (result.status !== 0) {
    throw new PrepareError(`${[name, ...args].join(' ')} failed:\n${result.stdout}${result.stderr}`.trimEnd());
  }
}
