/**
 * A short demonstration of the main job, for `npm start`: a web server in a rootless network namespace of its own, with
 * its port 80 published on 127.0.0.2 of the host. Ends by itself.
 */

import { once } from 'node:events';
import { mkdtemp, readFile } from 'node:fs/promises';
import { request } from 'node:http';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { execa } from 'execa';
import { StackClient } from '../../parent/client/stack-client.js';
import { statePath } from '../../protocol/state/state-layout.js';

const HOST = '127.0.0.2';
const WANTED_PORT = 8080;
/** Port of the server in its namespace: one that unprivileged users may not use on the host. */
const CHILD_PORT = 80;
const START_TIMEOUT_MS = 20_000;

const here = (name: string) => fileURLToPath(new URL(name, import.meta.url));
const print = (line = '') => process.stdout.write(`${line}\n`);

async function isFree(port: number): Promise<boolean> {
  const server = createServer();
  server.listen(port, HOST);
  try {
    await once(server, 'listening');
    return true;
  } catch {
    return false;
  } finally {
    server.close();
  }
}

/** The body of http://address:port/, or the code of the error. */
function fetchText(address: string, port: number): Promise<string> {
  return new Promise((resolve) => {
    const get = request({ host: address, port, agent: false }, (response) => {
      let text = '';
      response.on('data', (chunk) => {
        text += chunk;
      });
      response.on('end', () => resolve(text.trim()));
    });
    get.on('error', (error) => resolve('code' in error ? String(error.code) : error.message));
    get.end();
  });
}

/** Listening TCP sockets in the network namespace of a process: `address:port`, IPv4 only, from /proc/PID/net/tcp (proc(5)). */
async function listeners(pid: number | 'self'): Promise<string[]> {
  const table = await readFile(`/proc/${pid}/net/tcp`, 'utf8');
  return table
    .split('\n')
    .slice(1)
    .map((line) => line.trim().split(/\s+/))
    .filter(([, , , state]) => state === '0A')
    .map(([, local = '']) => {
      const [address = '', port = ''] = local.split(':');
      const bytes = (address.match(/../g) ?? []).reverse().map((byte) => Number.parseInt(byte, 16));
      return `${bytes.join('.')}:${Number.parseInt(port, 16)}`;
    });
}

/** Calls until there is an answer; undefined after a timeout, or if `gone()`. */
async function retry<T>(call: () => Promise<T | undefined>, gone: () => boolean): Promise<T | undefined> {
  const end = Date.now() + START_TIMEOUT_MS;
  while (Date.now() < end && !gone()) {
    const result = await call().catch(() => undefined);
    if (result !== undefined) return result;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return undefined;
}

async function main(): Promise<number> {
  const wanted = (await isFree(WANTED_PORT)) ? WANTED_PORT : 0;
  if (wanted === 0) print(`Port ${WANTED_PORT} on ${HOST} is in use; using any free port (port 0).`);

  const stateDir = await mkdtemp(join(tmpdir(), 'rootless-demo-'));
  const spec = `${HOST}:${wanted}:${CHILD_PORT}`;
  const server = [here('server.js'), String(CHILD_PORT)];
  print(`$ rootless-run -p ${spec} -- node ${server.join(' ')}`);
  let over = false;
  const run = execa(here('../rootless-run'), ['--state-dir', stateDir, '-p', spec, '--', process.execPath, ...server], {
    stdin: 'ignore',
    stdout: 'inherit',
    stderr: 'inherit',
    reject: false,
    env: { ROOTLESS_NET_NODE: process.execPath },
  });
  run.then(() => {
    over = true;
  });

  try {
    const client = new StackClient(statePath(stateDir, 'apiSocket'));
    const published = await retry(
      async () => (await client.listPorts())[0]?.spec,
      () => over,
    );
    const port = published?.parentPort ?? 0;
    const answer = await retry(
      async () => {
        const text = await fetchText(HOST, port);
        return text.startsWith('Hello') ? text : undefined;
      },
      () => over || port === 0,
    );
    if (answer === undefined) {
      print('The server did not start; see the line above.');
      return 1;
    }
    print(`$ curl http://${HOST}:${port}`);
    print(answer);
    print();
    const { childPID } = await client.info();
    const onHost = (await listeners('self')).filter((listener) => listener.endsWith(`:${port}`));
    const other = await fetchText('127.0.0.1', port);
    print(`Listening on the host:       ${onHost.join(', ')}`);
    print(`Listening in the namespace:  ${(await listeners(childPID)).join(', ')}`);
    print(
      `http://127.0.0.1:${port}:       ${other === 'ECONNREFUSED' ? 'connection refused, since only 127.0.0.2 is published' : 'another server answers there'}`,
    );
    print();
    print('To keep such a server running (Ctrl-C ends it):');
    print(`  npx rootless-run -p ${HOST}:${port}:${CHILD_PORT} -- node ${server.join(' ')}`);
    return 0;
  } finally {
    run.kill('SIGTERM');
    await run;
  }
}

process.exit(await main());
