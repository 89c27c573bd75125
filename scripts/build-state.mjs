// Says whether what was installed and built still belongs to the sources. A stamp beside the output holds
// a fingerprint of the sources (names, sizes, times), so a removed file counts as a change too.
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';

/** All files below `path` (or `path` itself, if it is a file) for which `wanted(name)` holds; sorted. */
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

/** True if the stamp file holds `expected`. */
export function stampIs(stamp, expected) {
  try {
    return readFileSync(stamp, 'utf8') === expected;
  } catch {
    return false;
  }
}

/** Writes the stamp; the directory must be there. */
export function writeStamp(stamp, value) {
  writeFileSync(stamp, value);
}

/** The fingerprint of what the native part is built from. */
export function nativeFingerprint(root) {
  const native = join(root, 'native');
  const gypFiles = readdirSync(native).filter((name) => /\.gypi?$/.test(name));
  const sources = listFiles(join(native, 'src'), (name) => /\.(c|cc|cpp|h|hpp)$/.test(name));
  return `${process.arch} ${fingerprint(root, [...gypFiles.map((name) => join(native, name)), ...sources])}`;
}

/** Where a build of the native part leaves its stamp. */
export function nativeStamp(root) {
  return join(root, 'native', 'build', 'Release', '.stamp');
}

/** What the rest of the stack loads and runs from native/build/Release. */
export const nativeOutputs = ['rootless_net.node', 'launcher', 'container_monitor', 'oci_hook'];

/** True if the native part is there and no source has changed since. Any supported node can load it. */
export function isNativeBuilt(root) {
  const release = join(root, 'native', 'build', 'Release');
  return (
    nativeOutputs.every((name) => existsSync(join(release, name))) &&
    stampIs(nativeStamp(root), nativeFingerprint(root))
  );
}

/** The fingerprint of what dist/ is made from: what tsc compiles, and what bundles it. */
export function typescriptFingerprint(root) {
  const files = ['tsconfig.json', 'package.json'].map((name) => join(root, name));
  files.push(...listFiles(join(root, 'scripts'), () => true));
  // Plain JSON; in "include" stand directories, and patterns such as "native/*.ts".
  const { include } = JSON.parse(readFileSync(join(root, 'tsconfig.json'), 'utf8'));
  for (const pattern of include) {
    files.push(...listFiles(join(root, pattern.replace(/\/\*.*$/, '')), (name) => name.endsWith('.ts')));
  }
  return fingerprint(root, files);
}

/** Where a run of tsc leaves its stamp. */
export function typescriptStamp(root) {
  return join(root, 'dist', '.stamp');
}

/** Removes from dist/ what was compiled from a source that is gone (a test, say, that would still be run). */
export function removeOrphans(root) {
  const dist = join(root, 'dist');
  for (const file of listFiles(dist, (name) => /\.(js|js\.map|d\.ts)$/.test(name))) {
    const source = join(root, relative(dist, file).replace(/(\.d\.ts|\.js\.map|\.js)$/, '.ts'));
    if (!existsSync(source)) rmSync(file);
  }
}

/**
 * True if node_modules holds what package-lock.json asks for. npm keeps a lock file of what it has installed
 * in node_modules; the two are compared package by package. Optional packages may be missing: they may be
 * for other machines, or could not be built.
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
  // A package that was deleted by hand is still in npm's list.
  return ['typescript', 'mocha'].every((name) => existsSync(join(root, 'node_modules', name, 'package.json')));
}
