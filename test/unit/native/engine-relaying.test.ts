import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { openSync } from 'node:fs';
import type { Socket } from 'node:net';
import { pack } from 'msgpackr';
import { native } from '../../../native/index.js';
import { encodeTarget } from '../../../protocol/wire/messages.js';
import { echo, openConnection, outcomeOf, pseudoRandom, pseudoRandomHash, waitFor } from '../../support/index.js';
import { openFds } from '../../support/process-info.js';
import { EngineSide, HostilePair, localServer } from '../../support/stacks/engine-side.js';
import { connectedSocket } from '../../support/traffic/raw-socket.js';
import { ECONNREFUSED, echoServer, one } from './engine-packets.js';

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
      refusedBy: { 'no-server': 0, unreachable: 0, limit: 0, agent: 0, other: 0 },
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
        parent.engine.addPorts(id, type, [fd], 9, Buffer.of(), 0);
        parent.engine.removePorts(id, 1);
      }
      await parent.wait('port-closed', 100);
      await waitFor(() => openFds() <= before);
    });
  }

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

  it('resets those that wait when no agent will come', async () => {
    using parent = new EngineSide();
    parent.engine.watchConnections(true);
    const { fd, port } = native().listen('127.0.0.1', 0, 'tcp', false);
    parent.engine.addPorts(
      1,
      'tcp',
      [fd],
      9,
      encodeTarget({ proto: 'tcp', ip: '', parentIP: '', hostGatewayIP: '', source: 'hide', container: '' }),
      0,
    );
    const sockets = await Promise.all([1, 2, 3].map(() => openConnection('127.0.0.1', port)));
    const outcomes = sockets.map(outcomeOf);
    // All were accepted before they are given up.
    await waitFor(() => {
      parent.engine.failWaiting('the agent is not running');
      return parent.of('connection-refused').length === 3;
    });
    for (const { error } of await Promise.all(outcomes)) assert.equal(error, 'ECONNRESET');
    assert.equal(parent.of('connection-refused')[0]?.reason, 'the agent is not running');
  });
});

// More than the socket buffers of all four ends take.
const LENGTH = 128 << 20;

/** A connection through the pair, to a server that does not read yet; with what the relay has moved towards it. */
async function relayed(pair: HostilePair, server: { port: number; sockets: Socket[] }) {
  const { id, port, target } = pair.publish(server.port);
  const client = await openConnection('127.0.0.1', port);
  await pair.asked(1);
  // The agent connects by itself: a socket of another program would be in blocking mode.
  pair.agent.engine.setPlan(target, ['127.0.0.1'], false);
  await waitFor(() => server.sockets.length === 1, { what: 'the server to accept' });
  const accepted = server.sockets[0] ?? assert.fail();
  const counters = () => pair.parent.engine.counters(id) ?? assert.fail();
  return { client, accepted, counters };
}

/** Sends until nothing moves any more, because the server does not read. */
async function block(client: Socket, counters: () => { bytesIn: number }) {
  client.on('error', () => {});
  pseudoRandom(LENGTH).pipe(client);
  let [last, looks] = [0, 0];
  await waitFor(
    () => {
      const { bytesIn } = counters();
      looks = bytesIn > 0 && bytesIn === last ? looks + 1 : 0;
      last = bytesIn;
      return looks === 10;
    },
    { what: 'the stream to stand still' },
  );
  assert(last < LENGTH, 'all of it went into buffers');
}

describe('a connection whose server does not read', () => {
  it('continues when the server reads, to the last byte and the end; the other direction is free meanwhile', async () => {
    using pair = await HostilePair.make();
    await using server = await localServer((socket) => void socket.pause());
    const { client, accepted, counters } = await relayed(pair, server);
    await block(client, counters);

    accepted.write('from the server');
    const [answer] = await once(client, 'data');
    assert.equal(answer.toString(), 'from the server');

    const hash = createHash('sha256');
    const received = once(accepted, 'end');
    accepted.on('data', (chunk: Buffer) => hash.update(chunk));
    accepted.resume();
    await received;
    assert.equal(hash.digest('hex'), pseudoRandomHash(LENGTH));
    const ended = once(client, 'end');
    accepted.end();
    await ended;
    await waitFor(() => counters().open === 0, { what: 'the connection to end' });
    assert.deepEqual(pair.parent.log, []);
  });

  it('ends when the client is reset', async () => {
    using pair = await HostilePair.make();
    await using server = await localServer((socket) => void socket.pause());
    const { client, accepted, counters } = await relayed(pair, server);
    await block(client, counters);
    const outcome = outcomeOf(accepted.resume());
    client.resetAndDestroy();
    // Not its error: libuv reports a reset that follows data as an end of file.
    assert((await outcome).data.length < LENGTH);
    await waitFor(() => counters().open === 0, { what: 'the connection to end' });
  });

  it('is reset when the server is', async () => {
    using pair = await HostilePair.make();
    await using server = await localServer((socket) => void socket.pause());
    const { client, accepted, counters } = await relayed(pair, server);
    await block(client, counters);
    const outcome = outcomeOf(client);
    accepted.resetAndDestroy();
    assert.equal((await outcome).error, 'ECONNRESET');
    await waitFor(() => counters().open === 0, { what: 'the connection to end' });
  });
});
