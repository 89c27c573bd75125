/**
 * Where the native part is: where it was built on this machine, else in a package for this kind of machine that npm has
 * installed with this one, such as @rootless-net/linux-x64-gnu (scripts/packages/ makes them). All of its files are in that
 * one directory.
 */
import { accessSync, closeSync, constants, existsSync, openSync, readFileSync, readSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { packageFile } from '../protocol/paths.js';

/** Where node-gyp puts what it builds. */
const BUILT = packageFile('native/build/Release');

/** The addon. */
export const ADDON = 'rootless_net.node';

/** The C libraries that there are packages for. */
const LIBCS = ['gnu', 'musl'] as const;

/** What packages for this kind of machine are called. */
function packageNames(): string[] {
  return LIBCS.map((libc) => `@rootless-net/linux-${process.arch}-${libc}`);
}

interface Manifest {
  version?: string;
  optionalDependencies?: Record<string, string>;
}

function readManifest(path: string): Manifest {
  return JSON.parse(readFileSync(path, 'utf8')) as Manifest;
}

/** The directories of installed packages of this version. */
function installedPackages(): string[] {
  const own = packageFile('package.json');
  const { resolve } = createRequire(own);
  return packageNames().flatMap((name) => {
    try {
      const manifest = resolve(`${name}/package.json`);
      return readManifest(manifest).version === readManifest(own).version ? [dirname(manifest)] : [];
    } catch {
      return [];
    }
  });
}

/** Whether this node runs with musl: which dynamic linker it asks for. */
function usesMusl(): boolean {
  const head = Buffer.alloc(4096);
  const fd = openSync(process.execPath, 'r');
  try {
    readSync(fd, head);
  } finally {
    closeSync(fd);
  }
  return head.includes('/ld-musl-');
}

/** The directory of a package that fits this machine. Yarn 1 installs those of both C libraries. */
export function prebuiltDirectory(): string | undefined {
  const [first, ...others] = installedPackages();
  if (others.length === 0) return first;
  const libc = usesMusl() ? 'musl' : 'gnu';
  return [first, ...others].find((directory) => directory?.endsWith(`-${libc}`));
}

const directory = existsSync(join(BUILT, ADDON)) ? BUILT : (prebuiltDirectory() ?? BUILT);

/** Path of a file of the native part. */
export function nativeFile(name: string): string {
  return join(directory, name);
}

/** How to get a native part that is missing; the same in a clone and where the package is installed. */
export function installationHint(): string {
  const script = packageFile('scripts/build-native.mjs');
  const build = `${isWritable(packageFile('.')) ? '' : 'sudo '}node ${script} (needs a C++ compiler, make and python3)`;
  const { optionalDependencies = {} } = readManifest(packageFile('package.json'));
  const name = packageNames().find((name) => name in optionalDependencies);
  return name === undefined
    ? `build it with: ${build}`
    : `install this package again without --omit=optional, which brings ${name}; or build it with: ${build}`;
}

function isWritable(path: string): boolean {
  try {
    accessSync(path, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}
