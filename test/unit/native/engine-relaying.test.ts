import assert from 'node:assert/strict';
import { openSync } from 'node:fs';
import { pack } from 'msgpackr';
import { native } from '../../../native/index.js';
import { encodeTarget } from '../../../protocol/wire/messages.js';
import { echo, openConnection, outcomeOf, waitFor } from '../../support/index.js';
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
