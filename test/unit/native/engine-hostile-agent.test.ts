import assert from 'node:assert/strict';
import { openSync } from 'node:fs';
import type { Socket } from 'node:net';
import { pack } from 'msgpackr';
import { native } from '../../../native/index.js';
import { echo, openConnection, waitFor } from '../../support/index.js';
import { HostilePair, localServer } from '../../support/stacks/engine-side.js';
import { connectedSocket } from '../../support/traffic/raw-socket.js';
import { echoServer, garbage, randomBytes } from './engine-packets.js';

describe('the engine of the parent', () => {
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
      // Twice: the second finds no reader.
      pair.send(packet, [openSync('/dev/null', 'r')]);
      pair.send(packet);
      const { reason } = await pair.parent.wait('channel-closed', ++ended);
      assert.match(reason, /invalid packet \(\d+ bytes\)$/, packet.toString('hex'));
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

    it('that accepts no more', async () => {
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
