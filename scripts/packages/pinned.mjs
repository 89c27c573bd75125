// Packages of npm that single scripts need, and nobody else: installed beside the checkout when they are first wanted, by a
// package-lock.json of their own.
import { spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';

/** What is kept between runs of scripts. */
export const cache = join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'rootless-net-build');

/** Runs a program; where it fails, this one ends. */
export function run(command, args, options) {
  const { status, error } = spawnSync(command, args, { stdio: ['ignore', 'inherit', 'inherit'], ...options });
  if (error) throw error;
  if (status !== 0) {
    process.stderr.write(`${[command, ...args].join(' ')} failed\n`);
    process.exit(1);
  }
}

/**
 * The directory with the packages; `what` they are is reported where they are installed first.
 *
 * @param {{ name: string, from: string, what: string }} packages `from`: the directory of package.json and package-lock.json
 */
export function installPinned({ name, from, what }) {
  const directory = join(cache, name);
  const files = ['package.json', 'package-lock.json'];
  const isCurrent = (file) =>
    existsSync(join(directory, file)) && readFileSync(join(directory, file)).equals(readFileSync(join(from, file)));
  // npm writes that file when all is there.
  if (existsSync(join(directory, 'node_modules', '.package-lock.json')) && files.every(isCurrent)) return directory;
  process.stderr.write(`Installing ${what} …\n`);
  mkdirSync(directory, { recursive: true });
  for (const file of files) copyFileSync(join(from, file), join(directory, file));
  run('npm', ['ci', '--silent', '--no-audit', '--no-fund', '--prefix', directory]);
  return directory;
}
