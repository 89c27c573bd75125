import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, createServer, type Server } from 'node:net';
import { startStack } from '../../support/index.js';

/** A server of the host's that greets with its name. */
async function greeter(name: string, host: string): Promise<{ server: Server; port: number }> {
  const server = createServer((socket) => socket.on('error', () => {}).end(name)).listen(0, host);
  await once(server, 'listening');
  return { server, port: (server.address() as AddressInfo).port };
}

const HOST = 'host.rootless.internal';

/** Prints what a server says; bash knows hosts by name in this path. */
const read = (host: string, port: number) => ['bash', '-c', `cat < /dev/tcp/${host}/${port}`];

describe('ports of the host (--host-port)', () => {
  const servers: Server[] = [];
  let shared: number, moved: number, hidden: number;

  before(async () => {
    for (const name of ['shared', 'moved', 'hidden']) {
      const { server, port } = await greeter(name, '127.0.0.1');
      servers.push(server);
      if (name === 'shared') shared = port;
      else if (name === 'moved') moved = port;
      else hidden = port;
    }
  });
  after(() => {
    for (const server of servers) server.close();
  });

  it('can be reached by name inside, and no others', async () => {
    await using stack = await startStack({
      args: ['--net=builtin', `--host-port=${shared},81:127.0.0.1:${moved}`],
    });
    for (const name of [HOST, 'host.docker.internal', 'host.containers.internal', '10.0.2.2']) {
      assert.deepEqual((await stack.enter(...read(name, shared))).stdout, 'shared', name);
    }
    assert.equal((await stack.enter(...read(HOST, 81))).stdout, 'moved');
    for (const port of [moved, hidden, 80]) {
      const { code, stderr } = await stack.enter(...read(HOST, port));
      assert.notEqual(code, 0, `${port}`);
      assert.match(stderr, /Connection refused/);
    }
  });

  it('have no names where there are none', async () => {
    await using stack = await startStack({ args: ['--net=builtin'] });
    assert.equal((await stack.enter('grep', HOST, '/etc/hosts')).stdout, '');
  });
});
