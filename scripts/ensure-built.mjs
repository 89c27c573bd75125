// Runs before npm start, npm test and npm run bench, so that each of them works as the first command in a fresh clone:
// installs and builds whatever is missing or stale. Needs no package. Prints nothing if there is nothing to do. Keep the
// syntax of this file old, so that an old node reaches the version check.
import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = resolve(dirname(fileURLToPath(import.meta.url)), '..');

function fail(message) {
  process.stderr.write(`${message}\n`);
  process.exit(1);
}

const version = process.versions.node.split('.').map(Number);
const least = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')).engines.node.replace('>=', '');
const needed = least.split('.').map(Number);
if (version[0] < needed[0] || (version[0] === needed[0] && version[1] < needed[1])) {
  fail(`rootless-net needs node ${least} or later, and this is ${process.versions.node}; see https://nodejs.org`);
}

const state = await import('./build-state.mjs');
const { findNodeDir } = await import('./node-headers.mjs');

/** Runs a step; prints its whole output if it fails. */
function step(title, command, args, env) {
  process.stderr.write(`${title} …\n`);
  const result = spawnSync(command, args, {
    cwd: root,
    env: Object.assign({}, process.env, env),
    encoding: 'utf8',
    maxBuffer: 2 ** 28,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  if (result.error) fail(`${title} failed: ${command} does not start: ${result.error.message}`);
  if (result.status !== 0) {
    process.stderr.write(result.stdout + result.stderr);
    fail(
      `${title} failed: ${[command, ...args].join(' ')} ended with ${result.signal || `exit code ${result.status}`}`,
    );
  }
  return result.stderr;
}

const needs = {
  install: () => !state.isInstalled(root),
  native: () => !state.isNativeBuilt(root),
  typescript: () => !state.stampIs(state.typescriptStamp(root), state.typescriptFingerprint(root)),
};

if (needs.install() || needs.native() || needs.typescript()) {
  const release = await state.takeBuildLock(root, () =>
    process.stderr.write('Waiting for another build of this checkout …\n'),
  );
  mkdirSync(join(root, 'dist'), { recursive: true });
  const compile = (title, command, args, env) => {
    const compiled = state.typescriptFingerprint(root);
    // No stamp while dist/ is incomplete, and none if this fails.
    rmSync(state.typescriptStamp(root), { force: true });
    step(title, command, args, env);
    state.removeOrphans(root);
    state.writeStamp(state.typescriptStamp(root), compiled);
  };
  // Each is checked again: another process may have done the work while this one waited for the lock.
  if (needs.install()) {
    // If npm runs this script, that npm: it belongs to this node.
    const npm = process.env.npm_execpath ? [process.execPath, process.env.npm_execpath] : ['npm'];
    const args = [...npm.slice(1), 'ci', '--include=dev', '--include=optional', '--no-audit', '--no-fund'];
    // node-gyp would download the headers.
    const nodeDir = findNodeDir();
    // This compiles as well: npm runs the script "prepare".
    compile('Installing packages and building (npm ci)', npm[0], args, nodeDir ? { npm_config_nodedir: nodeDir } : {});
  }
  if (needs.native()) {
    process.stderr.write(step('Building the native part', process.execPath, [join('scripts', 'build-native.mjs')]));
  }
  if (needs.typescript()) {
    compile('Compiling', process.execPath, [join('scripts', 'compile.mjs')]);
  }
  await release();
}
