import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, realpathSync } from 'node:fs';
import { join } from 'node:path';
import { repoRoot } from '../support/paths.js';

/** Where a user finds node and a checkout: where they are, or copied to `directory` if they are closed to the user. */
export function readableCopy(directory: string, user: string, checkout = repoRoot): { node: string; root: string } {
  const reads = (flag: '-r' | '-x', path: string) => {
    const drop = [`--reuid=${user}`, `--regid=${user}`, '--init-groups'];
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
    .map((path) => join(checkout, path))
    .filter((path) => existsSync(path));
  if (needed.every((path) => reads('-r', path))) return { node, root: checkout };
  const root = join(directory, 'checkout');
  mkdirSync(root);
  const unneeded = /\/node_modules\/(typescript|@typescript|@biomejs)(\/|$)/;
  for (const path of [
    'package.json',
    'dist',
    'native/build/front-paths',
    'native/build/Release',
    'node_modules',
    'examples',
    'test/programs',
    'test/scripts',
  ]) {
    if (!existsSync(join(checkout, path))) continue;
    cpSync(join(checkout, path), join(root, path), {
      recursive: true,
      verbatimSymlinks: true,
      filter: (source) => !unneeded.test(source),
    });
  }
  // Whatever umask they were made with.
  spawnSync('chmod', ['-R', 'a+rX', root]);
  return { node, root };
}
