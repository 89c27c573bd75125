import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { openSync } from 'node:fs';
import { pack } from 'msgpackr';
import { native } from '../../../native/index.js';
import { echo, openConnection, outcomeOf, waitFor } from '../../support/index.js';
import { openFds } from '../../support/process-info.js';
import { HostilePair } from '../../support/stacks/engine-side.js';
import { type HostileSockets, hostileSockets } from '../../support/traffic/hostile-sockets.js';
import { connectedSocket } from '../../support/traffic/raw-socket.js';
import { ECONNREFUSED, echoServer, one } from './engine-packets.js';

describe('the engine of the parent', () => {
  describe('accepts no descriptor but the requested one, and logs a line', () => {
    let other: Awaited<ReturnType<typeof echoServer>>;
    before(async () => {
      other = await echoServer();
    });
    const hostile: HostileSockets[] = [];
    after(async () => {
      await other[Symbol.asyncDispose]();
      for (const sockets of hostile) sockets[Symbol.dispose]();
    });
    async function oneOf(script: string): Promise<number[]> {
      const sockets = await hostileSockets(1, `${script}\nsend(s)\ntime.sleep(600)`);
      hostile.push(sockets);
      return sockets.fds;
    }
    const cases: Record<string, { fds: (port: number) => Promise<number[]> | number[]; expected: RegExp }> = {
      'a file': { fds: () => [openSync('/dev/null', 'r')], expected: /no TCP socket/ },
      'a socket of another family': {
        fds: () => {
          const [a, b] = native().socketpair();
          native().closeFd(b);
          return [a];
        },
        expected: /no TCP socket/,
      },
      'a listening socket': {
        fds: () => [native().listen('127.0.0.1', 0, 'tcp', false).fd],
        expected: /a listening socket/,
      },
      'a UDP socket': { fds: () => [native().listen('127.0.0.1', 0, 'udp', false).fd], expected: /no TCP socket/ },
      'a connection to another port': { fds: async () => [await one(other.port)], expected: /to another port/ },
      'a socket that is still connecting': {
        fds: () =>
          oneOf(`
server = socket.socket()
server.bind(('127.0.0.1', 0))
server.listen(0)
# More than its backlog takes: the last one waits.
for _ in range(4):
    s = socket.socket()
    s.setblocking(False)
    s.connect_ex(server.getsockname())
    sockets.append(s)
    time.sleep(0.01)`),
        expected: /not connected yet/,
      },
      'a socket that was never connected': {
        fds: () => oneOf('s = socket.socket()'),
        expected: /that is not connected/,
      },
      'a socket that was dissolved': {
        fds: (port) =>
          oneOf(`
import ctypes
s = socket.create_connection(('127.0.0.1', ${port}))
ctypes.CDLL(None).connect(s.fileno(), bytes(16), 16)`),
        expected: /that is not connected/,
      },
      'an MPTCP socket': {
        fds: (port) =>
          oneOf(`
s = socket.socket(socket.AF_INET, socket.SOCK_STREAM, 262)
s.connect(('127.0.0.1', ${port}))`),
        expected: /no TCP socket/,
      },
      'no descriptor': { fds: () => [], expected: /do not match/ },
      'two descriptors': {
        fds: async (port) => connectedSocket('127.0.0.1', port),
        expected: /do not match/,
      },
      'eight descriptors': {
        fds: () => Array.from({ length: 8 }, () => openSync('/dev/null', 'r')),
        expected: /do not match/,
      },
    };
    for (const [what, { fds, expected }] of Object.entries(cases)) {
      it(what, async () => {
        using pair = await HostilePair.make();
        await using server = await echoServer();
        // One that works before and after it.
        const good = pair.publish(server.port);
        const before = await openConnection('127.0.0.1', good.port);
        pair.send(pack([2, await pair.asked(1)]), [await one(server.port)]);
        assert.equal(await echo(before, 'before'), 'before');

        const bad = pair.publish(server.port);
        const victim = outcomeOf(await openConnection('127.0.0.1', bad.port));
        const id = await pair.asked(2);
        const sent = await fds(server.port);
        const open = openFds();
        pair.send(pack([2, id]), sent);
        assert.deepEqual(await victim, { data: Buffer.alloc(0), ended: false, error: 'ECONNRESET' });
        await pair.parent.wait('log');
        assert.equal(pair.parent.log.length, 1);
        assert.match(pair.parent.log[0] ?? '', expected);
        assert.doesNotMatch(pair.parent.log[0] ?? '', /\n/);
        await waitFor(() => openFds() <= open - sent.length, { what: 'the descriptors to be closed' });

        assert.equal(await echo(before, 'after'), 'after');
        assert.equal(pair.parent.of('channel-closed').length, 0);
        assert.equal(pair.parent.engine.counters(bad.id)?.refused, 1);
        before.destroy();
      });
    }

    it('a TCP socket for UDP', async () => {
      using pair = await HostilePair.make();
      const { id, port } = pair.publish(other.port, 'udp');
      const client = createSocket('udp4');
      client.send('anybody?', port, '127.0.0.1');
      pair.send(pack([2, await pair.asked(1)]), [await one(other.port)]);
      await pair.parent.wait('log');
      assert.match(pair.parent.log[0] ?? '', /of another protocol/);
      assert.equal(pair.parent.engine.counters(id)?.refused, 1);
      client.close();
    });

    it('a UDP socket that is not connected', async () => {
      using pair = await HostilePair.make();
      const { id, port } = pair.publish(other.port, 'udp');
      const client = createSocket('udp4');
      client.send('anybody?', port, '127.0.0.1');
      pair.send(pack([2, await pair.asked(1)]), [native().listen('127.0.0.1', 0, 'udp', false).fd]);
      await pair.parent.wait('log');
      assert.match(pair.parent.log[0] ?? '', /not connected/);
      assert.equal(pair.parent.engine.counters(id)?.refused, 1);
      client.close();
    });
  });

  it('closes the descriptors of answers that it did not ask for, and continues', async () => {
    using pair = await HostilePair.make();
    await using server = await echoServer();
    const { port } = pair.publish(server.port);
    const socket = await openConnection('127.0.0.1', port);
    const id = await pair.asked(1);
    const open = openFds();
    for (let i = 0; i < 500; i++) {
      pair.send(pack([2, 1000 + i]), [openSync('/dev/null', 'r'), openSync('/dev/null', 'r')]);
      pair.send(pack([2, 5000 + i, ECONNREFUSED, 'nobody asked']));
    }
    const [fd, copy] = await connectedSocket('127.0.0.1', server.port);
    native().closeFd(copy);
    pair.send(pack([2, id]), [fd]);
    assert.equal(await echo(socket, 'still here'), 'still here');
    // An answer that comes twice belongs to no request the second time.
    pair.send(pack([2, id]), [openSync('/dev/null', 'r')]);
    pair.send(pack([2, id, ECONNREFUSED, 'again']));
    assert.equal(await echo(socket, 'and here'), 'and here');
    await waitFor(() => openFds() <= open + 5, { what: 'the descriptors to be closed' });
    assert.equal(pair.parent.of('channel-closed').length, 0);
    socket.destroy();
  });
});
