// Runs before npm start, npm test and npm run bench, so that each of them works as the first command in a
// fresh clone: installs and builds what is missing or stale. Needs no package. Says nothing when there is
// nothing to do. Keep the syntax of this file old, so that an old node reaches the version check.
import { spawnSync } from 'node:child_process';
import { mkdirSync, rmSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = resolve(dirname(fileURLToPath(import.meta.url)), '..');

function fail(message) {
  process.stderr.write(`${message}\n`);
  process.exit(1);
}

const version = process.versions.node.split('.').map(Number);
if (version[0] < 20 || (version[0] === 20 && version[1] < 19)) {
  fail(`rootless-net needs node 20.19 or later, and this is ${process.versions.node}; see https://nodejs.org`);
}

const staleness = await import('./staleness.mjs');
const { takeBuildLock } = await import('./build-lock.mjs');
const { findNodeDir } = await import('./node-headers.mjs');

/** Runs a step and shows its whole output if it fails. */
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
  install: () => !staleness.isInstalled(root),
  native: () => !staleness.isNativeBuilt(root),
  typescript: () => !staleness.stampIs(staleness.typescriptStamp(root), staleness.typescriptFingerprint(root)),
};

if (needs.install() || needs.native() || needs.typescript()) {
  const release = await takeBuildLock(root, () =>
    process.stderr.write('Waiting for another build of this checkout …\n'),
  );
  mkdirSync(join(root, 'dist'), { recursive: true });
  const compile = (title, command, args, env) => {
    const compiled = staleness.typescriptFingerprint(root);
    // No stamp while dist/ is half done, and none if this fails.
    rmSync(staleness.typescriptStamp(root), { force: true });
    step(title, command, args, env);
    staleness.removeOrphans(root);
    staleness.writeStamp(staleness.typescriptStamp(root), compiled);
  };
  // Each is asked again: another process may have done the work meanwhile.
  if (needs.install()) {
    // The npm that runs this script, if one does: it belongs to this node.
    const npm = process.env.npm_execpath ? [process.execPath, process.env.npm_execpath] : ['npm'];
    const args = [...npm.slice(1), 'ci', '--include=dev', '--include=optional', '--no-audit', '--no-fund'];
    // node-gyp builds packages for npm, too (node-pty), and would fetch the headers.
    const nodeDir = findNodeDir();
    // It compiles as well: npm runs the script "prepare".
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
