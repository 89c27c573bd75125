import assert from 'node:assert/strict';
import { openConnection, run, startStack, tcpRequest } from '../../support/index.js';

/** What the kernel knows of connections of the host's port: the lines of ss, with their timers. */
async function timersOf(port: number): Promise<string> {
  const { stdout } = await run('ss', ['-Htno', 'state', 'established', `sport = :${port}`]);
  return stdout;
}

describe('a client that vanishes', () => {
  it('is noticed by keepalive, 15 seconds after the last byte and every 15 seconds from then on', async () => {
    await using stack = await startStack();
    await using _server = await stack.program('tcp-server', 'echo', '127.0.0.1', 80);
    for (const spec of ['127.0.0.2:0:80', '0:80', '[::1]:0:80']) {
      const { host, port } = await stack.publish(spec);
      const client = await openConnection(host, port);
      client.on('error', () => {});
      // Both ends are on this machine: the one of the relay has the timer.
      const seconds = Number(/timer:\(keepalive,(\d+)(?:\.\d+)?(?:sec|ms)/.exec(await timersOf(port))?.[1]);
      assert.ok(seconds > 0 && seconds <= 15, `${spec}: ${await timersOf(port)}`);
      client.destroy();
    }
  });

  it("is left to the server if it has the host's own socket (--activate)", async () => {
    const program = `
import socket
s = socket.socket(fileno=3)
fresh = socket.socket()
options = [(socket.SOL_SOCKET, socket.SO_KEEPALIVE)] + [(socket.IPPROTO_TCP, getattr(socket, name)) for name in ('TCP_KEEPIDLE', 'TCP_KEEPINTVL', 'TCP_KEEPCNT')]
c = s.accept()[0]
c.sendall(repr([c.getsockopt(*o) == fresh.getsockopt(*o) for o in options]).encode())
c.close()
`;
    await using stack = await startStack({
      args: ['--net=none', '--port-driver=bypass', '--activate', '--allow-host-loopback'],
      publish: ['127.0.0.2:0:80'],
      command: ['python3', '-c', program],
    });
    const [published] = await stack.published();
    assert.ok(published);
    assert.equal((await tcpRequest('127.0.0.2', published.port)).toString(), '[True, True, True, True]');
  });
});
