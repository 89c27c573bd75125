// Checks the C and C++ sources: their formatting with clang-format, and the code with clang-tidy (configured in
// .clang-format and .clang-tidy). With --fix it only formats them. Sources that passed and have not changed since are not
// checked again.
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { fingerprint, listFiles, stampIs, writeStamp } from './build-state.mjs';
import { findNodeDir } from './node-headers.mjs';

const root = resolve(dirname(fileURLToPath(import.meta.url)), '..');
const programs = ['clang-format', 'clang-tidy'];

function fail(message) {
  process.stderr.write(`${message}\n`);
  process.exit(1);
}

const isMissing = (program) => Boolean(spawnSync(program, ['--version'], { stdio: 'ignore' }).error);

/** Installs what is missing as root; otherwise ends with a line that names it. The packages are named as the programs. */
function providePrograms() {
  const missing = programs.filter(isMissing);
  if (missing.length === 0) return;
  if (process.getuid?.() === 0) {
    process.stderr.write(`Installing Debian packages for lint: ${missing.join(' ')}\n`);
    const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
    const options = ['-o', 'DPkg::Lock::Timeout=120', '-qq'];
    spawnSync('apt-get', [...options, 'update'], { env, stdio: 'ignore' });
    spawnSync('apt-get', [...options, 'install', '-y', '--no-install-recommends', ...missing], {
      env,
      stdio: 'ignore',
    });
  }
  const still = programs.filter(isMissing);
  if (still.length > 0)
    fail(`lint of the native part needs ${still.join(', ')}; install: apt-get install ${still.join(' ')}`);
}

/** The include directory of Node's headers: those beside node, or those that node-gyp has downloaded for the build. */
function nodeHeaders() {
  const built = join(root, 'native', 'build', 'config.gypi');
  const used = existsSync(built) ? /"nodedir": "([^"]+)"/.exec(readFileSync(built, 'utf8'))?.[1] : undefined;
  const directory = findNodeDir() ?? used;
  if (directory === undefined)
    fail('lint of the native part needs the C headers of Node.js: build the native part first');
  return join(directory, 'include', 'node');
}

/** Compiler flags as in native/binding.gyp, as far as they matter here. */
function flags(file, headers) {
  const language = file.endsWith('.cc') ? ['-std=gnu++17', '-D_GLIBCXX_ASSERTIONS'] : ['-std=gnu17'];
  const includes = ['-I', join(root, 'native', 'src'), '-isystem', headers];
  // The analyzer's default of nodes takes three times as long; the rest finds nothing more here.
  const analyzer = ['-Xclang', '-analyzer-config', '-Xclang', 'max-nodes=30000'];
  return [...language, '-D_GNU_SOURCE', '-DNAPI_VERSION=8', ...includes, ...analyzer];
}

/** Runs clang-tidy on one file; resolves to whether it is clean. */
function tidy(file, headers) {
  return new Promise((done) => {
    let output = '';
    const child = spawn('clang-tidy', ['--quiet', file, '--', ...flags(file, headers)], {
      cwd: root,
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    child.stdout.setEncoding('utf8').on('data', (text) => {
      output += text;
    });
    child.on('close', (code) => {
      process.stderr.write(output);
      if (code !== 0 && output === '') process.stderr.write(`clang-tidy failed without output on ${file}\n`);
      done(code === 0);
    });
  });
}

const isSource = (name) => /\.(c|cc|h)$/.test(name);
const files = ['native/src', 'bench/load', 'test/programs/native'].flatMap((directory) =>
  listFiles(join(root, directory), isSource),
);
const settings = ['.clang-format', '.clang-tidy', 'scripts/lint-native.mjs'].map((name) => join(root, name));
const stamp = join(root, 'native', 'build', '.lint-stamp');
const fix = process.argv.includes('--fix');
const checked = fingerprint(root, [...settings, ...files]);

if (fix || !stampIs(stamp, checked)) {
  providePrograms();
  const layout = fix ? ['-i'] : ['--dry-run', '--Werror'];
  if (spawnSync('clang-format', [...layout, ...files], { cwd: root, stdio: 'inherit' }).status !== 0) {
    fail('the layout of the native part differs from .clang-format; hint: npm run format');
  }
  if (!fix) {
    const headers = nodeHeaders();
    // C++ first: it takes longer.
    const sources = files.filter((file) => !file.endsWith('.h')).map((file) => relative(root, file));
    sources.sort((a, b) => Number(b.endsWith('.cc')) - Number(a.endsWith('.cc')));
    let clean = true;
    const work = async () => {
      for (let file = sources.shift(); file !== undefined; file = sources.shift()) {
        if (!(await tidy(file, headers))) clean = false;
      }
    };
    await Promise.all(Array.from({ length: availableParallelism() }, work));
    if (!clean) fail('clang-tidy has found what is listed above');
    mkdirSync(dirname(stamp), { recursive: true });
    writeStamp(stamp, checked);
  }
}
