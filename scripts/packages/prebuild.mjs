// Builds the native part for other machines, and makes a package of each: npm run prebuild [-- TARGET…], such as x64-gnu;
// without one, for all. It runs on x64, and leaves what has not changed.
//
// The compiler is zig's clang, which brings the headers and libraries of both C libraries and of C++ for each target. It comes
// from npm, by zig/package-lock.json; ROOTLESS_NET_ZIG names another one. The programs are linked statically, with musl, so
// that they run on any machine of their architecture; the addon has the C++ library in it, and needs only the C library.
import { chmodSync, copyFileSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { cache, installPinned, run } from './pinned.mjs';
import { nativeParts, output, packageDirectory, packageManifest, root, targets } from './targets.mjs';

const here = dirname(fileURLToPath(import.meta.url));

const ADDON = 'rootless_net';
const programs = nativeParts.filter((name) => !name.endsWith('.node'));

/** Path of zig, which is installed first where it is not there. */
function findZig() {
  if (process.env.ROOTLESS_NET_ZIG) return process.env.ROOTLESS_NET_ZIG;
  const directory = installPinned({ name: 'zig', from: join(here, 'zig'), what: 'the compiler (zig, 70 MB)' });
  return join(directory, 'node_modules', '@ryoppippi', 'zig-linux-x64', 'zig');
}

/** Builds parts of the native part in a tree of their own; returns where they are. */
function build(zig, { arch, triple, parts, flags }) {
  const tree = join(output, 'build', `${triple}-${parts === programs ? 'programs' : 'addon'}`);
  const script = join(root, 'scripts', 'build-native.mjs');
  const compiler = (language) => `${zig} ${language} -target ${triple}`;
  const env = {
    ...process.env,
    CC: compiler('cc'),
    // It links, too, and links the C++ library to everything.
    CXX: compiler(parts === programs ? 'cc' : 'c++'),
    AR: `${zig} ar`,
    // Without symbols for debuggers.
    LDFLAGS: ['-s', ...flags].join(' '),
    ZIG_GLOBAL_CACHE_DIR: join(cache, 'zig-cache'),
    ZIG_LOCAL_CACHE_DIR: join(cache, 'zig-cache'),
  };
  run(process.execPath, [script, '--tree', tree, '--arch', arch, ...parts], { env });
  return join(tree, 'native', 'build', 'Release');
}

const wanted = process.argv.length > 2 ? process.argv.slice(2) : Object.keys(targets);
for (const target of wanted) {
  if (!Object.hasOwn(targets, target)) {
    process.stderr.write(`prebuild: unknown target ${target}; there are ${Object.keys(targets).join(', ')}\n`);
    process.exit(1);
  }
}
const zig = findZig();
for (const target of wanted) {
  const { arch, triple, programs: programTriple } = targets[target];
  const built = build(zig, { arch, triple: programTriple, parts: programs, flags: ['-static'] });
  const addon = build(zig, { arch, triple, parts: [ADDON], flags: [] });
  const directory = packageDirectory(target);
  rmSync(directory, { recursive: true, force: true });
  mkdirSync(directory, { recursive: true });
  for (const name of programs) copyFileSync(join(built, name), join(directory, name));
  copyFileSync(join(addon, `${ADDON}.node`), join(directory, `${ADDON}.node`));
  for (const name of programs) chmodSync(join(directory, name), 0o755);
  copyFileSync(join(root, 'LICENSE'), join(directory, 'LICENSE'));
  writeFileSync(join(directory, 'package.json'), `${JSON.stringify(packageManifest(target), undefined, 2)}\n`);
}
