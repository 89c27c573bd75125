import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { openSync, read, readdirSync, write } from 'node:fs';
import type { Socket } from 'node:net';
import { promisify } from 'node:util';
import { pack, unpackMultiple } from 'msgpackr';
import { native } from '../../native/index.js';
import { decodeMessage, decodeTarget, encodeTarget, ProtocolError } from '../../protocol/messages.js';
import { EngineSide, HostilePair, localServer } from '../support/engine-side.js';
import { echo, openConnection, outcomeOf, waitFor } from '../support/index.js';
import { connectedSocket } from '../support/raw-socket.js';

const ECONNREFUSED = 111;
const echoServer = () => localServer((socket) => socket.pipe(socket));
const openFds = () => readdirSync('/proc/self/fd').length;

/** A request to connect, as the parent's engine sends it. */
const connectRequest = (id: number, port: number) =>
  pack([1, id, ['tcp', '', port, '127.0.0.1', '', 'hide'], 0, '127.0.0.1', 4]);

/** The same bytes each time; mulberry32. */
function randomBytes(seed: number): (length: number) => Buffer {
  let state = seed;
  const next = () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return (t ^ (t >>> 14)) >>> 0;
  };
  return (length) => Buffer.from(Array.from({ length }, () => next() & 0xff));
}

/** What no agent sends: none of them is a result in whole. */
function garbage(): Buffer[] {
  const result = pack([2, 1, ECONNREFUSED, 'connect: refused']);
  const torn = Array.from({ length: result.length - 1 }, (_, i) => result.subarray(0, i + 1));
  const random = randomBytes(1);
  const noise = Array.from({ length: 20 }, (_, i) => {
    const bytes = random(1 + i * 17);
    // The data plane is arrays.
    bytes[0] = 0x90 | ((bytes[0] ?? 0) & 0x0f);
    return bytes;
  });
  const wrong = [
    pack([]),
    pack([2]),
    pack([2, 'one']),
    pack([2, -1]),
    pack([2, 1, 0, 'no error']),
    pack([2, 1, 5000, 'no such errno']),
    pack([2, 1, ECONNREFUSED, 7]),
    pack([2, 1, 2, 'text', 'more']),
    pack([2, 1, [], 'x']),
    pack([3, 1, 0]),
    pack([4, 1]),
    connectRequest(1, 80),
    Buffer.concat([pack([2, 1]), Buffer.from([0])]),
    Buffer.from([0xdc]),
    Buffer.from([0xdc, 0xff, 0xff, 2, 1]),
    Buffer.from([0x94, 2, 1, 5, 0xdb, 0xff, 0xff, 0xff, 0xff]),
  ];
  return [...torn, ...wrong, ...noise];
}

const one = async (port: number) => {
  const [fd, copy] = await connectedSocket('127.0.0.1', port);
  native().closeFd(copy);
  return fd;
};

describe('the engine of the parent', () => {
  it('relays through the socket that the agent sends', async () => {
    using pair = await HostilePair.make();
    await using server = await echoServer();
    const { id, port } = pair.publish(server.port);
    const socket = await openConnection('127.0.0.1', port);
    const [fd, copy] = await connectedSocket('127.0.0.1', server.port);
    native().closeFd(copy);
    pair.send(pack([2, await pair.asked(1)]), [fd]);
    assert.equal(await echo(socket, 'through and back'), 'through and back');
    const outcome = outcomeOf(socket);
    socket.end();
    assert.deepEqual(await outcome, { data: Buffer.alloc(0), ended: true, error: undefined });
    await waitFor(() => pair.parent.engine.counters(id)?.open === 0);
    assert.deepEqual(pair.parent.engine.counters(id), {
      open: 0,
      opened: 1,
      refused: 0,
      bytesIn: 16,
      bytesOut: 16,
      sourceKept: 0,
      sourceHidden: 0,
    });
    assert.deepEqual(pair.parent.log, []);
  });

  it('serves clients of ports that are added one after the other while nothing else happens', async () => {
    using pair = await HostilePair.make();
    await using server = await echoServer();
    const ports = Array.from({ length: 100 }, () => pair.publish(server.port));
    for (const [index, { id, port }] of [...ports.slice(98), pair.publish(server.port)].entries()) {
      const socket = await openConnection('127.0.0.1', port);
      const [fd, copy] = await connectedSocket('127.0.0.1', server.port);
      native().closeFd(copy);
      pair.send(pack([2, await pair.asked(index + 1)]), [fd]);
      assert.equal(await echo(socket, 'through and back'), 'through and back');
      assert.equal(pair.parent.engine.counters(id)?.opened, 1);
      socket.destroy();
    }
  });

  for (const type of ['tcp', 'udp'] as const) {
    it(`closes a ${type} port that is removed in the moment in which it is added`, async () => {
      using parent = new EngineSide();
      const before = openFds();
      for (let id = 1; id <= 100; id++) {
        const { fd } = native().listen('127.0.0.1', 0, type, false);
        parent.engine.addPort(id, type, [fd], 9, Buffer.of(), 0);
        parent.engine.removePort(id);
      }
      await parent.wait('port-closed', 100);
      await waitFor(() => openFds() === before);
    });
  }

  describe('takes no descriptor that is not what it asked for, and says so in a line', () => {
    let other: Awaited<ReturnType<typeof echoServer>>;
    before(async () => {
      other = await echoServer();
    });
    after(() => other[Symbol.asyncDispose]());
    const cases: Record<string, { fds: (port: number) => Promise<number[]> | number[]; says: RegExp }> = {
      'a file': { fds: () => [openSync('/dev/null', 'r')], says: /no TCP socket/ },
      'a socket of another family': {
        fds: () => {
          const [a, b] = native().socketpair();
          native().closeFd(b);
          return [a];
        },
        says: /no TCP socket/,
      },
      'a listening socket': {
        fds: () => [native().listen('127.0.0.1', 0, 'tcp', false).fd],
        says: /a listening socket/,
      },
      'a UDP socket': { fds: () => [native().listen('127.0.0.1', 0, 'udp', false).fd], says: /no TCP socket/ },
      'a connection to another port': { fds: async () => [await one(other.port)], says: /to another port/ },
      'no descriptor': { fds: () => [], says: /do not match/ },
      'two descriptors': {
        fds: async (port) => connectedSocket('127.0.0.1', port),
        says: /do not match/,
      },
      'eight descriptors': {
        fds: () => Array.from({ length: 8 }, () => openSync('/dev/null', 'r')),
        says: /do not match/,
      },
    };
    for (const [what, { fds, says }] of Object.entries(cases)) {
      it(what, async () => {
        using pair = await HostilePair.make();
        await using server = await echoServer();
        // One that goes well before and goes on after it.
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
        assert.match(pair.parent.log[0] ?? '', says);
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

  it('passes a refusal on to the client that it is about', async () => {
    using pair = await HostilePair.make();
    pair.parent.engine.watchConnections(true);
    const { port } = pair.publish(9);
    const client = outcomeOf(await openConnection('127.0.0.1', port));
    pair.send(pack([2, await pair.asked(1), ECONNREFUSED, 'connect 127.0.0.1:9: Connection refused']));
    assert.equal((await client).error, 'ECONNRESET');
    const { reason } = await pair.parent.wait('connection-refused');
    assert.equal(reason, 'connect 127.0.0.1:9: Connection refused');
    assert.deepEqual(pair.parent.log, []);
  });

  it('takes several answers as one packet, with their sockets in the same order', async () => {
    using pair = await HostilePair.make();
    const servers = await Promise.all(['first', 'third'].map((text) => localServer((socket) => void socket.end(text))));
    await using first = servers[0] ?? assert.fail();
    await using third = servers[1] ?? assert.fail();
    const outcomes: ReturnType<typeof outcomeOf>[] = [];
    const ids: number[] = [];
    for (const port of [first.port, 9, third.port]) {
      outcomes.push(outcomeOf(await openConnection('127.0.0.1', pair.publish(port).port)));
      ids.push(await pair.asked(outcomes.length));
    }
    const [a = 0, b = 0, c = 0] = ids;
    const answers = [
      [3, a],
      [2, a],
      [2, b, ECONNREFUSED, 'refused'],
      [2, 4711],
      [2, c],
    ].map((answer) => pack(answer));
    const nobodys = openSync('/dev/null', 'r');
    pair.send(Buffer.concat(answers), [await one(first.port), nobodys, await one(third.port)]);
    assert.deepEqual(await Promise.all(outcomes), [
      { data: Buffer.from('first'), ended: true, error: undefined },
      { data: Buffer.alloc(0), ended: false, error: 'ECONNRESET' },
      { data: Buffer.from('third'), ended: true, error: undefined },
    ]);
    assert.deepEqual(pair.parent.log, []);
  });

  it('closes the descriptors of answers that it did not ask for, and goes on', async () => {
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
    // An answer that comes twice belongs to nobody the second time.
    pair.send(pack([2, id]), [openSync('/dev/null', 'r')]);
    pair.send(pack([2, id, ECONNREFUSED, 'again']));
    assert.equal(await echo(socket, 'and here'), 'and here');
    await waitFor(() => openFds() <= open + 5, { what: 'the descriptors to be closed' });
    assert.equal(pair.parent.of('channel-closed').length, 0);
    socket.destroy();
  });

  it('ends the conversation with an agent that sends garbage, once, and gives its requests to the next one', async function () {
    this.timeout(60_000);
    using pair = await HostilePair.make();
    await using server = await echoServer();
    const first = pair.publish(server.port);
    const held = await openConnection('127.0.0.1', first.port);
    const [fd, copy] = await connectedSocket('127.0.0.1', server.port);
    native().closeFd(copy);
    pair.send(pack([2, await pair.asked(1)]), [fd]);
    assert.equal(await echo(held, 'held'), 'held');

    const second = pair.publish(server.port);
    const waiting = await openConnection('127.0.0.1', second.port);
    const id = await pair.asked(2);
    let ended = 0;
    for (const packet of garbage()) {
      // Twice: the second finds nobody who reads it.
      pair.send(packet, [openSync('/dev/null', 'r')]);
      pair.send(packet);
      const { reason } = await pair.parent.wait('channel-closed', ++ended);
      assert.match(reason, /not understood \(\d+ bytes\)$/, packet.toString('hex'));
      await pair.newAgent();
      // It was asked for what the last one did not answer.
      await pair.agent.wait('plan-wanted');
    }
    pair.send(Buffer.alloc(100_000, 0x92));
    assert.match((await pair.parent.wait('channel-closed', ++ended)).reason, /more than \d+ bytes/);
    await pair.newAgent();
    await pair.agent.wait('plan-wanted');
    assert.equal(pair.parent.of('channel-closed').length, ended);

    assert.equal(await echo(held, 'held on'), 'held on');
    const [late, lateCopy] = await connectedSocket('127.0.0.1', server.port);
    native().closeFd(lateCopy);
    pair.send(pack([2, id]), [late]);
    assert.equal(await echo(waiting, 'at last'), 'at last');
    held.destroy();
    waiting.destroy();
  });

  it('survives 3,000 packets of noise', async () => {
    using pair = await HostilePair.make();
    pair.publish(9);
    const random = randomBytes(2);
    for (let i = 0; i < 3000; i++) {
      const packet = random(1 + (i % 60));
      // By turns data plane, a result that begins well, and anything.
      if (i % 3 === 0) packet[0] = 0x90 | ((packet[0] ?? 0) & 0x0f);
      if (i % 3 === 1) packet.set([0x94, 2].slice(0, packet.length));
      pair.send(packet);
      if (i % 20 === 19) await pair.newAgent();
    }
    await waitFor(() => pair.parent.of('channel-closed').length > 100, { what: 'it to have read them' });
    assert.deepEqual(pair.parent.log, []);
  });

  it('resets those that wait when it is told that no agent will come', async () => {
    using parent = new EngineSide();
    parent.engine.watchConnections(true);
    const { fd, port } = native().listen('127.0.0.1', 0, 'tcp', false);
    parent.engine.addPort(
      1,
      'tcp',
      [fd],
      9,
      encodeTarget({ proto: 'tcp', ip: '', port: 9, parentIP: '', hostGatewayIP: '', source: 'hide' }),
      0,
    );
    const sockets = await Promise.all([1, 2, 3].map(() => openConnection('127.0.0.1', port)));
    const outcomes = sockets.map(outcomeOf);
    // All were taken before they are given up.
    await waitFor(() => {
      parent.engine.failWaiting('there is no agent');
      return parent.of('connection-refused').length === 3;
    });
    for (const { error } of await Promise.all(outcomes)) assert.equal(error, 'ECONNRESET');
    assert.equal(parent.of('connection-refused')[0]?.reason, 'there is no agent');
  });

  describe('is not held up by a socket of the child in blocking mode', () => {
    /** A connection through a socket that the agent keeps a descriptor of, and one through the same engine beside it. */
    async function blocked(pair: HostilePair, serve: (socket: Socket) => void) {
      const server = await localServer(serve);
      const beside = await echoServer();
      const good = pair.publish(beside.port);
      const control = await openConnection('127.0.0.1', good.port);
      const [fd, copy] = await connectedSocket('127.0.0.1', beside.port);
      native().closeFd(copy);
      pair.send(pack([2, await pair.asked(1)]), [fd]);
      assert.equal(await echo(control, 'before'), 'before');

      const bad = pair.publish(server.port);
      const socket = await openConnection('127.0.0.1', bad.port);
      socket.on('error', () => {});
      const [blocking, kept] = await connectedSocket('127.0.0.1', server.port);
      pair.send(pack([2, await pair.asked(2)]), [blocking]);
      const close = async () => {
        socket.destroy();
        control.destroy();
        native().closeFd(kept);
        await server[Symbol.asyncDispose]();
        await beside[Symbol.asyncDispose]();
      };
      return { socket, control, bad, close };
    }

    it('that takes no more', async () => {
      using pair = await HostilePair.make();
      const { socket, control, bad, close } = await blocked(pair, (peer) => peer.pause());
      try {
        const bytes = Buffer.alloc(1 << 20);
        const pump = () => {
          while (!socket.destroyed && socket.write(bytes));
        };
        socket.on('drain', pump);
        pump();
        await waitFor(() => (pair.parent.engine.counters(bad.id)?.bytesIn ?? 0) > 1 << 20, { what: 'bulk' });
        for (let i = 0; i < 100; i++) assert.equal(await echo(control, `still here ${i}`), `still here ${i}`);
      } finally {
        await close();
      }
    });

    it('that has nothing more to read', async () => {
      using pair = await HostilePair.make();
      const length = 32 << 20;
      const { socket, control, close } = await blocked(pair, (peer) => peer.write(Buffer.alloc(length)));
      try {
        let received = 0;
        socket.on('data', (chunk) => {
          received += chunk.length;
        });
        await waitFor(() => received === length || socket.destroyed, { what: 'all that the server sent' });
        for (let i = 0; i < 100; i++) assert.equal(await echo(control, `still here ${i}`), `still here ${i}`);
      } finally {
        await close();
      }
    });
  });
});

describe('the engine of the agent', () => {
  /** Those of one packet; none at the end. */
  const readAnswers = async (fd: number): Promise<unknown[]> => {
    const { bytesRead, buffer } = await promisify(read)(fd, Buffer.alloc(65_536), 0, 65_536, null);
    return bytesRead === 0 ? [] : unpackMultiple(buffer.subarray(0, bytesRead));
  };

  /** The agent's engine, and what stands for the parent: an engine to send with, or a bare socket to read from. */
  function serving(): { agent: EngineSide; up: number } & Disposable {
    const [up, down] = native().socketpair();
    const agent = new EngineSide();
    agent.engine.openChannel(1, down);
    agent.engine.serveConnects(1);
    return { agent, up, [Symbol.dispose]: () => agent.engine.close() };
  }

  it('asks where a target leads once, and answers all who waited for that', async () => {
    using side = serving();
    const { agent, up } = side;
    for (let id = 1; id <= 5; id++) await promisify(write)(up, connectRequest(id, 9));
    const { target } = await agent.wait('plan-wanted');
    assert.deepEqual(decodeTarget(target), {
      proto: 'tcp',
      ip: '',
      port: 9,
      parentIP: '127.0.0.1',
      hostGatewayIP: '',
      source: 'hide',
    });
    const unused = native().listen('127.0.0.1', 0, 'tcp', false);
    native().closeFd(unused.fd);
    const nobody = { ip: '127.0.0.1', port: unused.port };
    agent.engine.setPlan(target, [nobody], false);
    const refused = `connect 127.0.0.1:${unused.port}: Connection refused`;
    assert.deepEqual(
      await readAnswers(up),
      [1, 2, 3, 4, 5].map((id) => [2, id, ECONNREFUSED, refused]),
    );
    assert.equal(agent.of('plan-wanted').length, 1);

    // The second address, where the first one refuses.
    await using server = await echoServer();
    await promisify(write)(up, connectRequest(6, 10));
    const second = await agent.wait('plan-wanted', 2);
    agent.engine.setPlan(second.target, [nobody, { ip: '127.0.0.1', port: server.port }], false);
    assert.deepEqual(await readAnswers(up), [[2, 6]]);

    // Nowhere to go.
    await promisify(write)(up, connectRequest(7, 11));
    agent.engine.setPlan((await agent.wait('plan-wanted', 3)).target, [], false);
    assert.deepEqual(await readAnswers(up), [[2, 7, ECONNREFUSED, 'connect: Connection refused']]);
    native().closeFd(up);
    await agent.wait('channel-closed');
  });

  it('ends the conversation with a parent that sends garbage', async () => {
    for (const packet of garbage()) {
      // What is no result is no request either, but for the request among them.
      if (packet.equals(connectRequest(1, 80))) continue;
      using side = serving();
      await promisify(write)(side.up, packet);
      const { reason } = await side.agent.wait('channel-closed');
      assert.match(reason, /not understood \(\d+ bytes\)$/, packet.toString('hex'));
      // The other side sees the end, too.
      assert.deepEqual(await readAnswers(side.up), []);
      native().closeFd(side.up);
    }
  });

  it('forgets a target that nobody waits for, and then asks anew', async () => {
    using side = serving();
    const { agent, up } = side;
    const nobody = { ip: '127.0.0.1', port: 9 };
    const refused = (id: number) => [2, id, ECONNREFUSED, 'connect 127.0.0.1:9: Connection refused'];
    await promisify(write)(up, connectRequest(1, 9));
    const { target } = await agent.wait('plan-wanted');
    // What was said of a port before this one.
    agent.engine.forgetPlan(target);
    agent.engine.setPlan(target, [nobody], false);
    assert.deepEqual(await readAnswers(up), [refused(1)]);
    agent.engine.forgetPlan(target);
    // What comes after it on the engine's thread.
    agent.engine.removePort(1);
    await agent.wait('port-closed');
    await promisify(write)(up, connectRequest(2, 9));
    await agent.wait('plan-wanted', 2);
    agent.engine.setPlan(target, [nobody], false);
    assert.deepEqual(await readAnswers(up), [refused(2)]);
    native().closeFd(up);
    await agent.wait('channel-closed');
  });

  it('forgets who waited when the conversation has ended', async () => {
    using side = serving();
    const { agent, up } = side;
    for (let id = 1; id <= 100; id++) await promisify(write)(up, connectRequest(id, 9));
    const { target } = await agent.wait('plan-wanted');
    await promisify(write)(up, Buffer.from([0x90]));
    await agent.wait('channel-closed');
    agent.engine.setPlan(target, [{ ip: '127.0.0.1', port: 9 }], false);
    // It works on, for another parent.
    const [next, down] = native().socketpair();
    agent.engine.openChannel(2, down);
    agent.engine.serveConnects(2);
    await promisify(write)(next, connectRequest(1, 9));
    assert.deepEqual(await readAnswers(next), [[2, 1, ECONNREFUSED, 'connect 127.0.0.1:9: Connection refused']]);
    native().closeFd(up);
    native().closeFd(next);
  });
});

describe('messages between parent and agent', () => {
  it('that are noise are refused, and with nothing but a ProtocolError', () => {
    const random = randomBytes(3);
    for (let i = 0; i < 5000; i++) {
      const packet = random(i % 80);
      for (const decode of [decodeMessage, decodeTarget]) {
        try {
          decode(packet);
        } catch (error) {
          assert.ok(error instanceof ProtocolError, `${packet.toString('hex')}: ${error}`);
          assert.doesNotMatch(error.message, /\n/);
        }
      }
    }
  });
});
