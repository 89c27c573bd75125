import assert from 'node:assert/strict';
import { createSocket, type Socket as UdpSocket } from 'node:dgram';
import { echo, openConnection, waitFor } from '../../support/index.js';
import { type EngineSide, HostilePair, localServer } from '../../support/stacks/engine-side.js';

/** Has the agent's engine make the connections that it is asked for, to this process. */
function dial(agent: EngineSide): void {
  const { target } = agent.of('plan-wanted').at(-1) ?? assert.fail('nothing was asked for');
  agent.engine.setPlan(target, ['127.0.0.1'], false);
}

function bound(socket: UdpSocket): Promise<number> {
  return new Promise((resolve) => socket.bind(0, '127.0.0.1', () => resolve(socket.address().port)));
}

describe('two engines', () => {
  it('relay hundreds of connections at once, of which some are reset', async () => {
    using pair = await HostilePair.make();
    await using server = await localServer((socket) => socket.pipe(socket));
    const { id, port } = pair.publish(server.port);
    const counters = () => pair.parent.engine.counters(id);
    for (let round = 0; round < 2; round++) {
      const opened = Array.from({ length: 150 }, () => openConnection('127.0.0.1', port));
      if (round === 0) {
        await pair.agent.wait('plan-wanted');
        dial(pair.agent);
      }
      const sockets = await Promise.all(opened);
      const texts = sockets.map((_, index) => `${index} ${'x'.repeat((index * 997) % 70_000)}`);
      const answers = await Promise.all(sockets.map((socket, index) => echo(socket, texts[index] ?? '')));
      assert.deepEqual(answers, texts);
      for (const [index, socket] of sockets.entries()) {
        // In the midst of what they have sent, some of them.
        if (index % 3 === 0) socket.write(Buffer.alloc(200_000));
        if (index % 2 === 0) socket.resetAndDestroy();
        else socket.on('error', () => {}).destroy();
      }
      await waitFor(() => counters()?.open === 0, { what: 'the end of the connections' });
    }
    assert.equal(counters()?.opened, 300);
  });

  it('relay datagrams of a hundred clients', async () => {
    using pair = await HostilePair.make();
    const server = createSocket('udp4');
    const clients = Array.from({ length: 100 }, () => createSocket('udp4'));
    try {
      server.on('message', (data, from) => server.send(data, from.port, from.address));
      const { port } = pair.publish(await bound(server), 'udp');
      const answers = new Map<number, number>();
      const ask = () => {
        for (const [index, client] of clients.entries()) {
          if ((answers.get(index) ?? 0) < 3) client.send(`client ${index}`, port, '127.0.0.1');
        }
      };
      for (const [index, client] of clients.entries()) {
        client.on('message', (data) => {
          assert.equal(data.toString(), `client ${index}`);
          answers.set(index, (answers.get(index) ?? 0) + 1);
        });
      }
      ask();
      await pair.agent.wait('plan-wanted');
      dial(pair.agent);
      // As a client does that has no answer: what waits for the agent is bounded.
      const done = () => answers.size === clients.length && [...answers.values()].every((count) => count >= 3);
      await waitFor(() => done() || ask(), { what: 'an answer for each' });
    } finally {
      for (const socket of [server, ...clients]) socket.close();
    }
  });
});
