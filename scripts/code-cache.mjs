// Writes V8's code cache beside each bundle in dist/programs/, for the node that runs this. npm runs it on install, since the
// package may have been built with another node. Without a cache the programs work, and start more slowly.
//
//   node code-cache.mjs                                     for all bundles: runs each once, as below
//   node code-cache.mjs DIRECTORY NAME PACKAGES [ARG…]      runs a bundle as dist/bin/NAME.cjs does, and writes its cache,
//                                                           and those of the packages that it has loaded
//
// The cache holds the functions that this run has compiled: those that a usual start needs, and no more, since reading the
// cache takes time too.
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { packages } from './bundles.mjs';
import { codeCacheFile, load, scripts } from './load-bundle.cjs';

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
  ['--net=builtin', ...stack],
  ['--net=slirp4netns', ...stack],
  ['--net=none', ...stack],
];

/** Serves a stack's API as far as `rootless-net run` needs it, with a container that ends at once. */
function serveAPI(stateDir) {
  const container = { id: '0'.repeat(64), name: 'none', status: 'created', request: {}, ports: [], attachments: [] };
  const server = createServer((request, response) => {
    request.resume().once('end', () => {
      response.writeHead(request.method === 'POST' ? 201 : 200, { 'Content-Type': 'application/json' });
      response.end(JSON.stringify(request.method === 'POST' ? container : {}));
    });
  });
  server.on('upgrade', (request, socket) => {
    const key = `${request.headers['sec-websocket-key']}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`;
    const accept = createHash('sha1').update(key).digest('base64');
    const head = ['HTTP/1.1 101 Switching Protocols', 'Upgrade: websocket', 'Connection: Upgrade'];
    socket.on('error', () => socket.destroy());
    socket.write(`${[...head, `Sec-WebSocket-Accept: ${accept}`].join('\r\n')}\r\n\r\n`);
    // Frames of RFC 6455, 5.2: a byte of output, the end, and the close of the connection.
    socket.write(Buffer.from([0x82, 2, 1, 0x0a]));
    for (const text of ['{"type":"started"}', '{"type":"exit","code":0}']) {
      socket.write(Buffer.concat([Buffer.from([0x81, text.length]), Buffer.from(text)]));
    }
    socket.end(Buffer.from([0x88, 0]));
  });
  server.listen(join(stateDir, 'api.sock'));
  return server;
}

/** Arguments of the runs that show what to compile: the first that succeeds, else the last as far as it came. */
const runs = (stateDir) => ({
  // The programs come later, with what they use of the packages.
  ...Object.fromEntries(packages.map((name) => [name, [[]]])),
  // Its parent is at descriptor 3, and gone at once.
  agent: [[]],
  rootlessctl: [['--socket=/nonexistent', 'list-ports']],
  'rootless-run': starts,
  rootlesskit: starts,
  'rootless-net': [[`--state-dir=${stateDir}`, 'run', '--rm', '--rootfs=/', 'true']],
});

async function writeAllCaches() {
  const stateDir = mkdtempSync(join(tmpdir(), 'rootless-net-build-'));
  const server = serveAPI(stateDir);
  try {
    await writeCaches(runs(stateDir));
  } finally {
    server.close();
    rmSync(stateDir, { recursive: true, force: true });
  }
}

async function writeCaches(runsByName) {
  const bundles = resolve(dirname(self), '..', 'dist', 'programs');
  for (const [name, attempts] of Object.entries(runsByName)) {
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

/** Runs a bundle in this process; its cache is written when it ends, and those of the packages that it has loaded. */
function runBundle(directory, name, bundledPackages, args) {
  process.argv.splice(1, process.argv.length, name, ...args);
  // An earlier cache has too much, or too little.
  rmSync(codeCacheFile(directory, name), { force: true });
  process.on('exit', () => {
    for (const [loaded, script] of scripts) {
      const cache = codeCacheFile(directory, loaded);
      // A rename, so that no program reads a half-written cache.
      writeFileSync(`${cache}.${process.pid}`, script.createCachedData());
      renameSync(`${cache}.${process.pid}`, cache);
    }
  });
  load(directory, name, bundledPackages, createRequire(self));
}

const [, , directory, name, list = '', ...args] = process.argv;
if (directory === undefined) await writeAllCaches();
else runBundle(directory, name, list.split(','), args);
