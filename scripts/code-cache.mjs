// Writes V8's code cache beside each bundle in dist/programs/, for the node that runs this. npm runs it on install, since the
// package may have been built with another node. Without a cache the programs work, and start more slowly.
//
//   node code-cache.mjs                                     for all bundles: runs each once, as below
//   node code-cache.mjs DIRECTORY NAME PACKAGES [ARG…]      runs a bundle as dist/bin/NAME.cjs does, and writes its cache
//
// The cache holds the functions that this run has compiled: those that a usual start needs, and no more, since reading the
// cache takes time too.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { packages } from './bundles.mjs';
import { codeCacheFile, load } from './load-bundle.cjs';

const self = fileURLToPath(import.meta.url);
const TIMEOUT_MS = 20_000;

/** Adds a port through the stack's API, and removes it: the first clients of a stack need not wait for the compiler, either. */
const useAPI = `
const http = require('node:http');
const socketPath = process.env.ROOTLESSKIT_STATE_DIR + '/api.sock';
const call = (method, path, body) =>
  new Promise((resolve) => {
    const request = http.request({ socketPath, method, path, agent: false }, (answer) => {
      let text = '';
      answer.on('data', (chunk) => (text += chunk)).on('end', () => resolve(text));
    });
    request.on('error', () => resolve('{}')).end(body);
  });
call('POST', '/v1/ports', '{"proto":"tcp","parentIP":"127.0.0.1","parentPort":0,"childPort":81}')
  .then((port) => call('DELETE', '/v1/ports/' + JSON.parse(port).id))
  .catch(() => {});`;
const stack = ['--port-driver=builtin', '--copy-up=/etc', '--publish=127.0.0.1:0:80/tcp', '--'];
stack.push(process.execPath, '--eval', useAPI);
const starts = [
  ['--net=slirp4netns', ...stack],
  ['--net=none', ...stack],
];

/** Arguments of the runs that show what to compile: the first that succeeds, else the last as far as it came. */
const runs = {
  'rootless-run': starts,
  rootlesskit: starts,
  rootlessctl: [['--socket=/nonexistent', 'list-ports']],
  'rootless-net': [['--state-dir=/nonexistent', 'ps']],
  // Its parent is at descriptor 3, and gone at once.
  agent: [[]],
  ...Object.fromEntries(packages.map((name) => [name, [[]]])),
};

async function writeAllCaches() {
  const bundles = resolve(dirname(self), '..', 'dist', 'programs');
  for (const [name, attempts] of Object.entries(runs)) {
    // In a checkout npm installs before it compiles.
    if (!existsSync(join(bundles, `${name}.cjs`))) continue;
    for (const args of attempts) {
      if ((await run([self, bundles, name, packages.join(','), ...args])) === 0) break;
    }
  }
}

/** Resolves with the exit code. */
async function run(args) {
  const child = spawn(process.execPath, args, {
    stdio: ['ignore', 'ignore', 'ignore', 'pipe'],
    timeout: TIMEOUT_MS,
    killSignal: 'SIGKILL',
  });
  child.stdio[3].destroy();
  const [code] = await once(child, 'exit');
  return code;
}

/** Runs a bundle in this process; its cache is written when it ends. */
function runBundle(directory, name, bundledPackages, args) {
  process.argv.splice(1, process.argv.length, name, ...args);
  const cache = codeCacheFile(directory, name);
  // An earlier cache has too much, or too little.
  rmSync(cache, { force: true });
  let script;
  process.on('exit', () => {
    if (!script) return;
    // A rename, so that no program reads a half-written cache.
    writeFileSync(`${cache}.${process.pid}`, script.createCachedData());
    renameSync(`${cache}.${process.pid}`, cache);
  });
  script = load(directory, name, bundledPackages, createRequire(self));
}

const [, , directory, name, list = '', ...args] = process.argv;
if (directory === undefined) await writeAllCaches();
else runBundle(directory, name, list.split(','), args);
