// The state of a checkout's build: whether what was installed and built is up to date with the sources, and a lock, so that
// only one build runs at a time. A stamp beside the output holds a fingerprint of the sources (names, sizes, times), so a
// removed file counts as a change too.
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join, relative } from 'node:path';

/** All files below `path` (or `path` itself, if it is a file) whose name passes `wanted`; sorted. */
export function listFiles(path, wanted) {
  const stat = statSync(path, { throwIfNoEntry: false });
  if (!stat) return [];
  if (!stat.isDirectory()) return [path];
  const files = [];
  for (const entry of readdirSync(path, { withFileTypes: true })) {
    const child = join(path, entry.name);
    if (entry.isDirectory()) files.push(...listFiles(child, wanted));
    else if (wanted(entry.name)) files.push(child);
  }
  return files.sort();
}

/** A fingerprint of the files: changes when one is added, removed, touched or changed. */
export function fingerprint(root, files) {
  const hash = createHash('sha256');
  for (const file of files) {
    const { mtimeMs, size } = statSync(file);
    hash.update(`${relative(root, file)}\0${mtimeMs}\0${size}\n`);
  }
  return hash.digest('hex');
}

/** True if the stamp file contains `expected`. */
export function stampIs(stamp, expected) {
  try {
    return readFileSync(stamp, 'utf8') === expected;
  } catch {
    return false;
  }
}

/** Writes the stamp; its directory has to exist. */
export function writeStamp(stamp, value) {
  writeFileSync(stamp, value);
}

/** The fingerprint of what the native part is built from. */
export function nativeFingerprint(root) {
  const native = join(root, 'native');
  const gypFiles = readdirSync(native).filter((name) => /\.gypi?$/.test(name));
  // An installed package has no bench/ and no test/.
  const directories = [join(native, 'src'), join(root, 'bench', 'load'), join(root, 'test', 'programs', 'native')];
  const sources = directories.flatMap((directory) => listFiles(directory, (name) => /\.(c|cc|h)$/.test(name)));
  return `${process.arch} ${fingerprint(root, [...gypFiles.map((name) => join(native, name)), ...sources])}`;
}

/** Where a build of the native part leaves its stamp. */
export function nativeStamp(root) {
  return join(root, 'native', 'build', 'Release', '.stamp');
}

/** The files in native/build/Release that the other parts load or execute. */
export const nativeOutputs = ['rootless_net.node', 'front', 'launcher', 'container_monitor', 'oci_hook'];

/** What is built in checkouts only: the load generator of bench/, and the program of test/programs/native/. */
export const checkoutOutputs = ['bench_load', 'native_test'];

/** True if the native part is built and no source has changed since. Any supported node can load it. */
export function isNativeBuilt(root, outputs = nativeOutputs) {
  const release = join(root, 'native', 'build', 'Release');
  return (
    outputs.every((name) => existsSync(join(release, name))) && stampIs(nativeStamp(root), nativeFingerprint(root))
  );
}

/**
 * The fingerprint of what dist/ is built from: the sources that tsc compiles, files that are copied, and the scripts that bundle
 * them.
 */
export function typescriptFingerprint(root) {
  const files = ['tsconfig.json', 'package.json'].map((name) => join(root, name));
  files.push(...listFiles(join(root, 'scripts'), () => true));
  // Plain JSON; "include" has directories, and patterns such as "native/*.ts".
  const { include } = JSON.parse(readFileSync(join(root, 'tsconfig.json'), 'utf8'));
  for (const pattern of include) {
    files.push(...listFiles(join(root, pattern.replace(/\/\*.*$/, '')), (name) => /\.(ts|html|css|js)$/.test(name)));
  }
  return fingerprint(root, files);
}

/** Where a run of tsc leaves its stamp. */
export function typescriptStamp(root) {
  return join(root, 'dist', '.stamp');
}

/** Removes from dist/ what was compiled from a source that no longer exists (such as a test, which would still be run). */
export function removeOrphans(root) {
  const dist = join(root, 'dist');
  for (const file of listFiles(dist, (name) => /\.(js|js\.map|d\.ts)$/.test(name))) {
    const path = relative(dist, file);
    // Bundles, and written anew each time.
    if (path.startsWith('library/')) continue;
    const source = join(root, path.replace(/(\.d\.ts|\.js\.map|\.js)$/, '.ts'));
    // What is copied as it is has the same name.
    if (!existsSync(source) && !existsSync(join(root, path))) rmSync(file);
  }
}

/**
 * True if node_modules holds the packages of package-lock.json. npm keeps a lock file of the installed packages in
 * node_modules; the two are compared package by package. Optional packages may be missing: they may be for other machines,
 * or could not be built.
 */
export function isInstalled(root) {
  let wanted;
  let installed;
  try {
    wanted = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')).packages;
    installed = JSON.parse(readFileSync(join(root, 'node_modules', '.package-lock.json'), 'utf8')).packages;
  } catch {
    return false;
  }
  for (const [path, entry] of Object.entries(wanted)) {
    if (path === '') continue;
    const found = installed[path];
    if (!found) {
      if (entry.optional || entry.devOptional || entry.peer) continue;
      return false;
    }
    if (found.version !== entry.version || found.integrity !== entry.integrity) return false;
  }
  // A package that was deleted by hand is still in npm's lock file.
  return ['typescript', 'mocha'].every((name) => existsSync(join(root, 'node_modules', name, 'package.json')));
}

/**
 * Waits until this process holds the lock `name`, then resolves to a function that releases it. The lock is the name of an
 * abstract unix socket: the kernel gives it to one process only and releases it when that process ends, so none is ever stale.
 *
 * @param {string} name what is locked, such as a path and a word
 * @param {() => void} [onWait] called once if another process holds the lock
 * @returns {Promise<() => Promise<void>>}
 */
export async function takeBuildLock(name, onWait) {
  const path = `\0rootless-net-build-${createHash('sha256').update(name).digest('hex').slice(0, 32)}`;
  for (let attempt = 0; ; attempt++) {
    const server = createServer();
    const taken = await new Promise((resolve, reject) => {
      server.once('error', (error) => (error.code === 'EADDRINUSE' ? resolve(false) : reject(error)));
      server.listen(path, () => resolve(true));
    });
    if (taken) {
      server.unref();
      return () => new Promise((resolve) => server.close(() => resolve()));
    }
    if (attempt === 0 && onWait) onWait();
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}
