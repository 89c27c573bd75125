/** Rate limits of the engine: what passes is bounded from above by burst and rate, however fast this machine is. */
import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { pack } from 'msgpackr';
import { native } from '../../../../native/index.js';
import { openConnection, waitFor } from '../../../support/index.js';
import { HostilePair, localServer } from '../../../support/stacks/engine-side.js';
import { connectedSocket } from '../../../support/traffic/raw-socket.js';

const MB = 1_000_000;
/** As TokenBucket::usualBurst(). */
const burstOf = (rate: number) => Math.max(rate / 20, 64 * 1024);
const mostSince = (start: number, rate: number) => burstOf(rate) + (rate * (performance.now() - start)) / 1000;

describe('a rate limit', function () {
  this.timeout(20_000);

  /** Connections to a server of this process, through published ports. */
  async function connected(pair: HostilePair, count: number, onServer: (socket: Socket) => void) {
    const server = await localServer(onServer);
    const clients: Socket[] = [];
    for (let i = 1; i <= count; i++) {
      const client = await openConnection('127.0.0.1', pair.publish(server.port).port);
      const [fd, copy] = await connectedSocket('127.0.0.1', server.port);
      native().closeFd(copy);
      pair.send(pack([2, await pair.asked(i)]), [fd]);
      clients.push(client);
    }
    return { clients, server };
  }

  it('bounds streams of both directions, which arrive whole', async () => {
    using pair = await HostilePair.make();
    const [outgoing, incoming] = [8 * MB, 4 * MB];
    let received = 0;
    const { clients, server } = await connected(pair, 1, (socket) => {
      socket.on('data', (data) => {
        received += data.length;
        if (received === 2 * MB) socket.end(Buffer.alloc(4 * MB, 'x'));
      });
    });
    await using _ = server;
    const [client = assert.fail()] = clients;
    const start = performance.now();
    pair.parent.engine.setLimit(0, { outgoing, incoming });
    client.write(Buffer.alloc(2 * MB, 'y'));
    await waitFor(() => received === 2 * MB);
    assert(received <= mostSince(start, incoming), 'incoming');
    let answered = 0;
    client.on('data', (data) => {
      answered += data.length;
    });
    await once(client, 'end');
    assert.equal(answered, 4 * MB);
    assert(answered <= mostSince(start, outgoing), 'outgoing');
  });

  it('is shared by connections alike', async () => {
    using pair = await HostilePair.make();
    const received: number[] = [];
    const { clients, server } = await connected(pair, 4, (socket) => {
      const index = received.push(0) - 1;
      socket.on('error', () => {});
      socket.on('data', (data) => {
        received[index] = (received[index] ?? 0) + data.length;
      });
    });
    await using _ = server;
    pair.parent.engine.setLimit(0, { outgoing: 0, incoming: 8 * MB });
    const data = Buffer.alloc(8 * MB, 'x');
    for (const client of clients) client.on('error', () => {}).write(data);
    const sum = () => received.reduce((a, b) => a + b, 0);
    await waitFor(() => sum() >= 4 * MB);
    // Each a quarter, but for what was read before the limit was set.
    assert(Math.min(...received) > sum() / 16, received.join());
    for (const client of clients) client.destroy();
  });

  it('of one port holds for its connections alone, those that are open included', async () => {
    using pair = await HostilePair.make();
    const received: number[] = [];
    const { clients, server } = await connected(pair, 2, (socket) => {
      const index = received.push(0) - 1;
      socket.on('data', (data) => {
        received[index] = (received[index] ?? 0) + data.length;
      });
    });
    await using _ = server;
    const start = performance.now();
    pair.parent.engine.setLimit(5, { outgoing: 0, incoming: MB });
    pair.parent.engine.limitPorts(2, 1, 5);
    for (const client of clients) client.write(Buffer.alloc(4 * MB, 'x'));
    await waitFor(() => Math.max(...received) === 4 * MB);
    assert(Math.min(...received) <= mostSince(start, MB), received.join());
    pair.parent.engine.setLimit(5, { outgoing: 0, incoming: 0 });
    await waitFor(() => Math.min(...received) === 4 * MB);
    for (const client of clients) client.destroy();
  });

  it('is changed, and lifted, while connections wait', async () => {
    using pair = await HostilePair.make();
    let received = 0;
    const { clients, server } = await connected(pair, 1, (socket) => {
      socket.on('data', (data) => {
        received += data.length;
      });
      socket.on('end', () => socket.end());
    });
    await using _ = server;
    const [client = assert.fail()] = clients;
    pair.parent.engine.setLimit(0, { outgoing: 0, incoming: 1000 });
    client.write(Buffer.alloc(4 * MB, 'x'));
    await waitFor(() => received >= 32_000);
    assert(received < 2 * MB);
    pair.parent.engine.setLimit(0, { outgoing: 0, incoming: 0 });
    await waitFor(() => received === 4 * MB);
    client.resume().end();
    await once(client, 'close');
  });

  it('ends with its connections', async () => {
    using pair = await HostilePair.make();
    const { clients, server } = await connected(pair, 3, () => {});
    await using _ = server;
    pair.parent.engine.setLimit(0, { outgoing: 0, incoming: 1000 });
    for (const client of clients) client.on('error', () => {}).write(Buffer.alloc(MB, 'x'));
    await waitFor(() => pair.parent.engine.portFlows(9).every(({ bytesIn }) => bytesIn > 0));
    for (const client of clients) client.resetAndDestroy();
    pair.parent.engine.removePorts(1, 3);
    await pair.parent.wait('port-closed');
    assert.deepEqual(pair.parent.log, []);
  });

  it('drops datagrams beyond it, and counts them', async () => {
    using pair = await HostilePair.make();
    const server = createSocket('udp4');
    let [received, bytes] = [0, 0];
    server.on('message', (data) => {
      received++;
      bytes += data.length;
    });
    server.bind(0, '127.0.0.1');
    await once(server, 'listening');
    const start = performance.now();
    const incoming = 100_000;
    // Before the port: the engine takes one after the other, and passes nothing while it has no limit yet.
    pair.parent.engine.setLimit(0, { outgoing: 0, incoming });
    const { port } = pair.publish(server.address().port, 'udp');
    const client = createSocket('udp4');
    const dropped = () => pair.parent.engine.datagramsDropped(0).incoming;
    let sent = 0;
    // Few at once: what the kernel does not keep for a socket is counted nowhere.
    const send = () => {
      for (const end = sent + 8; sent < end; sent++) client.send(Buffer.alloc(8000), port, '127.0.0.1');
    };
    send();
    const id = await pair.asked(1);
    const [fd, copy] = await connectedSocket('127.0.0.1', server.address().port, 'udp');
    native().closeFd(copy);
    pair.send(pack([2, id]), [fd]);
    do {
      await waitFor(() => received + dropped() === sent);
      send();
    } while (sent < 40);
    await waitFor(() => received + dropped() === sent);
    assert(dropped() > 0);
    assert(bytes <= mostSince(start, incoming), `${bytes}`);
    assert.equal(pair.parent.engine.datagramsDropped(0).outgoing, 0);
    client.close();
    server.close();
  });
});
