// Makes a Debian package for this machine's architecture, prebuilt/rootless-net_VERSION_ARCH.deb: npm run deb. It has the
// programs and no library: these are bundles, so it depends on no package of npm. On x64 the native part is that of
// prebuild.mjs, which runs with any glibc since 2.28; elsewhere, and with --built, the one that was built here.
import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { appArmorProfile } from '../../dist/parent/namespaces/diagnose.js';
import { serviceUnit } from '../../dist/parent/systemd/units.js';
import { installFront } from '../install-front.mjs';
import { manifest, nativeParts, output, packageDirectory, root } from './targets.mjs';

const here = dirname(fileURLToPath(import.meta.url));
const architecture = { x64: 'amd64', arm64: 'arm64' }[process.arch] ?? process.arch;
const tree = join(output, 'deb');
/** Where the package is on the user's machine. */
const LIB = '/usr/lib/rootless-net';
const lib = join(tree, LIB);
const RELEASE = 'native/build/Release';

function run(command, ...args) {
  const { status, error } = spawnSync(command, args, { stdio: ['ignore', 'inherit', 'inherit'] });
  if (error) throw error;
  if (status !== 0) process.exit(1);
}

/** Writes a file of the package, with its directories. */
function put(path, content, mode = 0o644) {
  const file = join(tree, path);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, content);
  chmodSync(file, mode);
}

/** The directory of the native part, and the libraries that it needs. */
function nativePart() {
  if (process.arch !== 'x64' || process.argv.includes('--built')) {
    // It was linked with the C library that this node runs with.
    const { glibcVersionRuntime } = process.report.getReport().header;
    return { directory: join(root, RELEASE), needs: [`libc6 (>= ${glibcVersionRuntime})`, 'libstdc++6'] };
  }
  run(process.execPath, join(here, 'prebuild.mjs'), 'x64-gnu');
  return { directory: packageDirectory('x64-gnu'), needs: ['libc6 (>= 2.28)'] };
}

function putPrograms(native) {
  const { devDependencies: _, dependencies: __, scripts: ___, allowScripts: ____, ...rest } = manifest;
  put(join(LIB, 'package.json'), `${JSON.stringify(rest, undefined, 2)}\n`);
  const wanted =
    /^(dist\/bin\/[^/]*\.c?js|dist\/programs\/[^/]*\.cjs|dist\/child\/((agent|reader)\.c?js|dhcp-event\.sh))$/;
  for (const directory of ['dist/bin', 'dist/programs', 'dist/child']) {
    for (const name of readdirSync(join(root, directory))) {
      if (!wanted.test(`${directory}/${name}`)) continue;
      mkdirSync(join(lib, directory), { recursive: true });
      copyFileSync(join(root, directory, name), join(lib, directory, name));
    }
  }
  for (const name of ['bundles.mjs', 'code-cache.mjs', 'load-bundle.cjs']) {
    put(join(LIB, 'scripts', name), readFileSync(join(root, 'scripts', name)));
  }
  mkdirSync(join(lib, RELEASE), { recursive: true });
  const parts = nativeParts.filter((name) => existsSync(join(native.directory, name)));
  for (const name of parts) copyFileSync(join(native.directory, name), join(lib, RELEASE, name));
  installFront(lib, { scripts: false, node: '/usr/bin/node' });
  mkdirSync(join(tree, 'usr/bin'), { recursive: true });
  for (const path of Object.values(manifest.bin)) {
    symlinkSync(`../lib/rootless-net/${path}`, join(tree, 'usr/bin', basename(path)));
  }
}

/** What the system has to know: manual pages, completions, a unit, a profile. Returns the profile's name. */
function putForSystem() {
  for (const page of manifest.man) {
    put(join('/usr/share/man/man1', `${basename(page)}.gz`), gzipSync(readFileSync(join(root, page)), { level: 9 }));
  }
  const completions = join(root, 'dist', 'completions');
  if (existsSync(completions)) cpSync(completions, join(tree, 'usr/share'), { recursive: true });
  const command = ['/usr/bin/rootless-run', 'serve'];
  put('/usr/lib/systemd/user/rootless-net.service', serviceUnit({ command, node: '/usr/bin/node', sockets: [] }));
  const profile = appArmorProfile(join(LIB, RELEASE, 'launcher'));
  put('/usr/share/rootless-net/apparmor', profile.text);
  const licenses = [join(root, 'LICENSE'), join(root, 'dist', 'THIRD-PARTY-LICENSES')];
  put('/usr/share/doc/rootless-net/copyright', licenses.map((file) => readFileSync(file, 'utf8')).join('\n'));
  put('/usr/share/doc/rootless-net/changelog.gz', gzipSync(readFileSync(join(root, 'CHANGELOG.md')), { level: 9 }));
  return basename(profile.path);
}

/** deb-control(5). */
function putControl({ needs }, profile) {
  const fields = {
    Package: 'rootless-net',
    Version: manifest.version,
    Architecture: architecture,
    Maintainer: 'rootless-net <rootless-net@localhost>',
    Section: 'net',
    Priority: 'optional',
    Depends: [...needs, `nodejs (${manifest.engines.node.replace('>=', '>= ')})`, 'uidmap'].join(', '),
    Recommends: 'crun | runc, nftables, dbus-user-session',
    Suggests: 'slirp4netns, passt, containernetworking-plugins, wireguard-go',
    // They have commands of the same names.
    Provides: 'rootlesskit',
    Conflicts: 'rootlesskit, docker-ce-rootless-extras',
    Replaces: 'rootlesskit',
    Description: `${manifest.description}\n Commands: ${Object.keys(manifest.bin).join(', ')}.`,
  };
  const lines = Object.entries(fields).map(([name, value]) => `${name}: ${value}\n`);
  put('/DEBIAN/control', lines.join(''));
  for (const name of ['postinst', 'prerm', 'postrm']) {
    put(
      join('/DEBIAN', name),
      readFileSync(join(here, 'debian', name), 'utf8').replaceAll('@PROFILE@', profile),
      0o755,
    );
  }
  put('/DEBIAN/triggers', readFileSync(join(here, 'debian', 'triggers')));
}

const native = nativePart();
rmSync(tree, { recursive: true, force: true });
putPrograms(native);
putControl(native, putForSystem());
run('chmod', '-R', 'u=rwX,go=rX', tree);
const file = join(output, `rootless-net_${manifest.version}_${architecture}.deb`);
run('dpkg-deb', '--root-owner-group', '-Zxz', '--build', tree, file);
process.stdout.write(`${file}\n`);
