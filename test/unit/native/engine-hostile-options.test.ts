/** The agent, which is not trusted, may keep a copy of each socket that it sends up, and set options on it. */
import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { pack } from 'msgpackr';
import { native } from '../../../native/index.js';
import { echo, freePort, openConnection, waitFor } from '../../support/index.js';
import { HostilePair, localServer } from '../../support/stacks/engine-side.js';
import { connectedSocket, setOption } from '../../support/traffic/raw-socket.js';

describe('options that an agent sets on sockets of the parent', () => {
  it('SO_LINGER does not hold up the engine if a connection ends with data that is not read', async () => {
    using pair = await HostilePair.make();
    await using echoes = await localServer((socket) => socket.pipe(socket));
    await using deaf = await localServer((socket) => socket.pause().end());
    const good = pair.publish(echoes.port);
    const other = await openConnection('127.0.0.1', good.port);
    const [otherFd, otherCopy] = await connectedSocket('127.0.0.1', echoes.port);
    native().closeFd(otherCopy);
    pair.send(pack([2, await pair.asked(1)]), [otherFd]);
    assert.equal(await echo(other, 'before'), 'before');

    const bad = pair.publish(deaf.port);
    const client = await openConnection('127.0.0.1', bad.port);
    const [fd, copy] = await connectedSocket('127.0.0.1', deaf.port);
    // Longer than a test may take.
    setOption(copy, 's.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 600))');
    native().closeFd(copy);
    pair.send(pack([2, await pair.asked(2)]), [fd]);
    client.on('error', () => {}).resume();
    // More than the deaf server's buffer takes, and less than it and that of the socket together.
    client.end(Buffer.alloc(300_000));
    const counters = () => pair.parent.engine.counters(bad.id);
    await waitFor(() => counters()?.opened === 1 && counters()?.open === 0, { what: 'the end of the connection' });
    assert.equal(await echo(other, 'after'), 'after');
    assert.equal(counters()?.bytesIn, 300_000);
    other.destroy();
  });

  it('IP_RECVERR does not keep the engine busy where errors arrive that are not read', async () => {
    using pair = await HostilePair.make();
    // Nobody listens there: each datagram brings an error.
    const nowhere = await freePort('127.0.0.1');
    const { port } = pair.publish(nowhere, 'udp');
    const client = createSocket('udp4');
    try {
      await new Promise<void>((resolve) => client.connect(port, '127.0.0.1', resolve));
      client.on('error', () => {});
      client.send('first');
      const [fd, copy] = await connectedSocket('127.0.0.1', nowhere, 'udp');
      // IPPROTO_IP, IP_RECVERR
      setOption(copy, 's.setsockopt(0, 11, 1)');
      pair.send(pack([2, await pair.asked(1)]), [fd]);
      await new Promise((resolve) => setTimeout(resolve, 200));
      const before = process.cpuUsage();
      await new Promise((resolve) => setTimeout(resolve, 500));
      const used = process.cpuUsage(before);
      assert(used.user + used.system < 250_000, `${(used.user + used.system) / 1000} ms of 500 ms were used`);
      native().closeFd(copy);
    } finally {
      client.close();
    }
  });
});
