// Builds the native part with node-gyp. On success it prints only the compiler's warnings; with --verbose all output of
// node-gyp. With --if-needed, as npm runs it on install, it builds only where no package with a built one is installed. With
// --sanitize=NAME the addon is built into a tree of its own, for the tests; see build-tree.mjs. With --tree=DIRECTORY
// --arch=ARCHITECTURE TARGET… single targets for other machines, by the compilers in the environment; see packages/prebuild.mjs.
import { spawnSync } from 'node:child_process';
import { accessSync, constants, existsSync, realpathSync, rmSync, statSync } from 'node:fs';
import { delimiter, dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import {
  checkoutOutputs,
  isNativeBuilt,
  nativeFingerprint,
  nativeOutputs,
  nativeStamp,
  takeBuildLock,
  writeStamp,
} from './build-state.mjs';
import {
  makeSanitizedTree,
  makeTree,
  sanitizedOutputs,
  sanitizedTargets,
  sanitizerEnvironment,
} from './build-tree.mjs';
import { installFront } from './install-front.mjs';
import { findNodeDir } from './node-headers.mjs';

const { values: options, positionals: targets } = parseArgs({
  options: {
    verbose: { type: 'boolean' },
    force: { type: 'boolean' },
    'if-needed': { type: 'boolean' },
    sanitize: { type: 'string' },
    tree: { type: 'string' },
    arch: { type: 'string', default: process.arch },
  },
  allowPositionals: true,
});
const checkout = resolve(dirname(fileURLToPath(import.meta.url)), '..');
const { sanitize, verbose } = options;
const root = makeRoot();
const native = join(root, 'native');
// In a checkout: the load generator of bench/ and the program of the tests are built as well, and CI accepts no warnings.
// Users get neither.
const isCheckout = existsSync(join(root, 'bench', 'load'));
const gypVariables =
  options.tree !== undefined ? ['-Dgcc=0'] : isCheckout ? ['-Dcheckout=1', `-Dwerror=${process.env.CI ? 1 : 0}`] : [];

/** Where to build: a tree of its own as the options want it, else the package itself. */
function makeRoot() {
  if (options.tree !== undefined) return makeTree(checkout, options.tree);
  return sanitize === undefined ? checkout : makeSanitizedTree(checkout, sanitize);
}

/** The first executable file of that name in PATH (or the name itself, if it is a path). */
function findProgram(name) {
  const candidates = name.includes('/')
    ? [name]
    : (process.env.PATH || '').split(delimiter).map((directory) => join(directory || '.', name));
  return candidates.find((candidate) => {
    try {
      accessSync(candidate, constants.X_OK);
      return statSync(candidate).isFile();
    } catch {
      return false;
    }
  });
}

/** node-gyp as [command, ...arguments]: npm's own, which npm names in the environment, or else nearby. */
function findNodeGyp() {
  const inNpm = (npmCli) => join(dirname(dirname(npmCli)), 'node_modules', 'node-gyp', 'bin', 'node-gyp.js');
  const npm = findProgram('npm');
  const prefix = dirname(dirname(realpathSync(process.execPath)));
  const scripts = [
    process.env.npm_config_node_gyp,
    process.env.npm_execpath && inNpm(process.env.npm_execpath),
    join(prefix, 'lib', 'node_modules', 'npm', 'node_modules', 'node-gyp', 'bin', 'node-gyp.js'),
    npm && inNpm(realpathSync(npm)),
  ];
  const script = scripts.find((candidate) => candidate && existsSync(candidate));
  if (script) return [process.execPath, script];
  const program = findProgram('node-gyp');
  return program ? [program] : undefined;
}

/** Tools that the build needs and that are not installed, for a message. */
function missingTools() {
  const missing = [];
  const env = process.env;
  // The first word: CC may be "ccache gcc".
  const has = (command) => Boolean(findProgram(command.trim().split(/\s+/)[0]));
  if (!has(env.CC || 'cc')) missing.push(`C compiler (${env.CC || 'cc'})`);
  if (!has(env.CXX || 'g++')) missing.push(`C++ compiler (${env.CXX || 'g++'})`);
  if (!has(env.MAKE || 'make')) missing.push('make');
  if (!has(env.npm_config_python || env.PYTHON || 'python3')) missing.push('python3');
  return missing;
}

function fail(message) {
  process.stderr.write(`${message}\n`);
  process.exit(1);
}

/** Runs one node-gyp command; on failure prints its output and exits. */
function runNodeGyp(nodeGyp, command, nodeDir) {
  const [program, ...first] = nodeGyp;
  const args = [...first, command, '--directory', native, ...(nodeDir ? ['--nodedir', nodeDir] : [])];
  if (command === 'configure') args.push('--arch', options.arch, '--', ...gypVariables);
  if (command === 'build') args.push('--jobs', 'max', ...(sanitize ? sanitizedTargets : targets));
  const result = spawnSync(program, args, {
    encoding: 'utf8',
    env: sanitize ? { ...process.env, ...sanitizerEnvironment(sanitize) } : process.env,
    stdio: verbose ? 'inherit' : 'pipe',
    maxBuffer: 2 ** 28,
  });
  if (result.error) fail(`Cannot build the native part: ${program} does not start: ${result.error.message}`);
  if (result.status === 0) {
    const remarks = (result.stderr || '').split('\n').filter((line) => line && !/^(gyp|npm) /.test(line));
    if (remarks.length > 0) process.stderr.write(`${remarks.join('\n')}\n`);
    return;
  }
  if (!verbose) process.stderr.write(result.stdout + result.stderr);
  if (!nodeDir) {
    fail(
      `Cannot build the native part: no C headers beside ${process.execPath}, and node-gyp could not fetch them; ` +
        'install the headers of this node, or set npm_config_nodedir to a directory with include/node/node_api.h',
    );
  }
  fail(`Cannot build the native part: node-gyp ${command} failed (its output is above)`);
}

/** The files that the build leaves in native/build/Release. */
function outputsOf() {
  if (sanitize !== undefined) return sanitizedOutputs;
  if (targets.length > 0) return targets.map((name) => (name === 'rootless_net' ? `${name}.node` : name));
  return isCheckout ? [...nativeOutputs, ...checkoutOutputs] : nativeOutputs;
}

/** The directory of an installed package with the native part; in a checkout there is none. */
async function prebuiltDirectory() {
  // The package has it; npm compiles a checkout after this, so nothing is there yet.
  return isCheckout ? undefined : (await import('../dist/native/location.js')).prebuiltDirectory();
}

if (process.platform !== 'linux') fail(`Cannot build the native part: it needs Linux, this is ${process.platform}`);
const prebuilt = options['if-needed'] ? await prebuiltDirectory() : undefined;
if (prebuilt !== undefined) {
  installFront(root, { directory: prebuilt });
  process.exit();
}
if (!existsSync(join(native, 'binding.gyp'))) fail(`Cannot build the native part: ${native}/binding.gyp is missing`);

const release = await takeBuildLock(`${native} node-gyp`, () => process.stderr.write('Waiting for another build …\n'));
const outputs = outputsOf();
if (options.force || !isNativeBuilt(root, outputs)) {
  const missing = missingTools();
  if (missing.length > 0) {
    fail(`Cannot build the native part: no ${missing.join(', no ')}; install: apt-get install gcc g++ make python3`);
  }
  const nodeGyp = findNodeGyp();
  if (!nodeGyp) {
    fail('Cannot build the native part: no node-gyp; it comes with npm: install npm, or run: npm install -g node-gyp');
  }
  const nodeDir = findNodeDir();
  // Taken before the build: a source that changes meanwhile makes the next run build again.
  const built = nativeFingerprint(root);
  // None if the build fails half-way.
  rmSync(nativeStamp(root), { force: true });
  // Not "rebuild": without "clean" make compiles only what has changed.
  runNodeGyp(nodeGyp, 'configure', nodeDir);
  runNodeGyp(nodeGyp, 'build', nodeDir);
  writeStamp(nativeStamp(root), built);
}
if (root === checkout) installFront(root);
await release();
