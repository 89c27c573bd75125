import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer } from 'node:net';
import { chooseListeners, type Selection, socketInodes } from '../../../../child/listeners/listeners.js';
import { type BoundSocket, SocketDump } from '../../../../child/listeners/socket-dump.js';

const selection: Selection = {
  rules: [{}],
  container: false,
  ephemeral: { first: 32_768, last: 60_999 },
  own: new Set([5]),
};

function bound(port: number, given: Partial<BoundSocket> = {}): BoundSocket {
  return { transport: 'tcp', ip: '0.0.0.0', port, inode: 1000 + port, ...given };
}

/** The ports, with the address where one is needed. */
function chosen(sockets: BoundSocket[], given: Partial<Selection> = {}): string[] {
  return chooseListeners(sockets, { ...selection, ...given }).map(
    ({ transport, ip, port }) => `${ip === '' ? '' : `${ip}:`}${port}/${transport}`,
  );
}

describe('listeners inside', () => {
  it('count unless they are ephemeral, our own, or of the kernel', () => {
    const sockets = [bound(8080), bound(80), bound(40_000), bound(81, { inode: 5 }), bound(82, { inode: 0 })];
    assert.deepEqual(chosen(sockets), ['80/tcp', '8080/tcp']);
    assert.deepEqual(chosen(sockets, { rules: [{ ports: { first: 8000, last: 41_000 } }] }), ['8080/tcp', '40000/tcp']);
  });

  it('count once for each port, the one that needs no address first', () => {
    const twice = [bound(80, { ip: '10.0.2.100' }), bound(80, { ip: '127.0.0.1' }), bound(80, { ip: '127.0.0.2' })];
    assert.deepEqual(chosen(twice), ['80/tcp']);
    assert.deepEqual(chosen([bound(80, { ip: '10.0.2.100' }), bound(80, { transport: 'udp', ip: '::1' })]), [
      '10.0.2.100:80/tcp',
      '80/udp',
    ]);
    assert.deepEqual(chosen([bound(80, { ip: '127.0.0.1' }), bound(90, { ip: '10.4.0.2' })], { container: true }), [
      '127.0.0.1:80/tcp',
      '90/tcp',
    ]);
  });

  it('are at most 256', () => {
    assert.equal(chosen(Array.from({ length: 5000 }, (_, index) => bound(index + 1))).length, 256);
  });

  it('are found by the kernel, of both families', async () => {
    const server = createServer();
    const udp = createSocket('udp4');
    const connected = createSocket('udp4');
    try {
      server.listen(0, '::1');
      await once(server, 'listening');
      const { port } = server.address() as AddressInfo;
      const client = connect(port, '::1');
      await once(client, 'connect');
      udp.bind(0, '127.0.0.3');
      await once(udp, 'listening');
      connected.connect(udp.address().port, '127.0.0.3');
      await once(connected, 'connect');
      using dump = new SocketDump('');
      const own = socketInodes();
      const found = dump.read(new Set(['tcp', 'udp'])).filter(({ inode }) => own.has(inode));
      const texts = found.map(({ transport, ip, port: at }) => `${transport} ${ip} ${at}`);
      assert.ok(texts.includes(`tcp ::1 ${port}`), texts.join());
      assert.ok(texts.includes(`udp 127.0.0.3 ${udp.address().port}`), texts.join());
      assert.ok(!texts.some((text) => text.endsWith(` ${connected.address().port}`)), texts.join());
      assert.ok(!texts.includes(`tcp ::1 ${client.localPort}`));
      client.destroy();
    } finally {
      server.close();
      udp.close();
      connected.close();
    }
  });
});
