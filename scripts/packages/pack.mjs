// Packs the package as it is published, with the packages of prebuild.mjs as its optional dependencies: npm run pack. Nothing
// of the checkout is changed: there, they must not be dependencies, since no registry has the next version of them yet.
import { spawnSync } from 'node:child_process';
import { chmodSync, copyFileSync, existsSync, mkdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { installFront } from '../install-front.mjs';
import { manifest, output, packageDirectory, packageName, root, targets } from './targets.mjs';

/** Runs npm; returns its answer. */
function npm(directory, ...args) {
  const options = { cwd: directory, encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] };
  const { status, stdout } = spawnSync('npm', [...args, '--json', '--ignore-scripts', '--loglevel=error'], options);
  if (status !== 0) process.exit(1);
  return JSON.parse(stdout);
}

/** The manifest as it is published. */
function publishedManifest() {
  const { devDependencies: _, allowScripts: __, scripts, ...rest } = manifest;
  const optionalDependencies = Object.fromEntries(Object.keys(targets).map((t) => [packageName(t), manifest.version]));
  return { ...rest, scripts: { install: scripts.install }, optionalDependencies };
}

/** A copy of all files that npm would pack. Returns its path. */
function stage() {
  const directory = join(output, 'rootless-net');
  rmSync(directory, { recursive: true, force: true });
  const [{ files }] = npm(root, 'pack', '--dry-run');
  for (const { path } of files) {
    mkdirSync(dirname(join(directory, path)), { recursive: true });
    copyFileSync(join(root, path), join(directory, path));
    chmodSync(join(directory, path), statSync(join(root, path)).mode & 0o100 ? 0o755 : 0o644);
  }
  writeFileSync(join(directory, 'package.json'), `${JSON.stringify(publishedManifest(), undefined, 2)}\n`);
  // The machine that it is installed on has a front of its own.
  installFront(directory, { scripts: true });
  return directory;
}

const built = Object.keys(targets)
  .map(packageDirectory)
  .filter((directory) => existsSync(directory));
const destination = process.argv[2] ?? output;
for (const directory of [stage(), ...built]) {
  const [{ filename }] = npm(directory, 'pack', '--pack-destination', destination);
  process.stdout.write(`${join(destination, filename)}\n`);
}
