import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { connect as connectTLS } from 'node:tls';
import { serverNameOf } from '../../../../parent/http/client-hello.js';

/** The first message of a client. */
async function helloFor(servername: string): Promise<Buffer> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const client = connectTLS({ host: '127.0.0.1', port: (server.address() as AddressInfo).port, servername });
  client.on('error', () => {});
  const [socket] = await once(server, 'connection');
  const [data] = await once(socket, 'data');
  client.destroy();
  socket.destroy();
  server.close();
  return data;
}

describe('the name in the first message of a TLS client', () => {
  it('is found, once all of the message is there', async () => {
    const hello = await helloFor('web.localhost');
    assert.deepEqual(serverNameOf(hello), { name: 'web.localhost' });
    for (let length = 0; length < hello.length; length++) assert.equal(serverNameOf(hello.subarray(0, length)), 'more');
    assert.deepEqual(serverNameOf(await helloFor('')), { name: '' });
  });

  it('is found where the message is split into records', async () => {
    const hello = await helloFor('web.localhost');
    const parts = [hello.subarray(5, 30), hello.subarray(30, 31), hello.subarray(31)];
    const records = parts.map((part) =>
      Buffer.concat([Buffer.from([22, 3, 1, part.length >> 8, part.length & 255]), part]),
    );
    assert.deepEqual(serverNameOf(Buffer.concat(records)), { name: 'web.localhost' });
  });

  it('is not looked for in what is no such message, and no byte makes it fail otherwise', async () => {
    for (const text of ['GET / HTTP/1.1\r\n', '\x16\x05\x00\x00\x05hello']) {
      assert.equal(serverNameOf(Buffer.from(text, 'latin1')), 'invalid');
    }
    const hello = await helloFor('web.localhost');
    for (let at = 0; at < hello.length; at++) {
      for (const value of [0, 1, 255]) {
        const changed = Buffer.from(hello);
        changed[at] = value;
        const result = serverNameOf(changed);
        assert.ok(typeof result === 'string' || typeof result.name === 'string');
      }
    }
  });
});
