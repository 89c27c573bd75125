/** The sockets of a DNS server: queries that come together, and connections. */
import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { native } from '../../../../native/index.js';
import { zoneText } from '../../../../protocol/dns/zone-text.js';
import { waitFor } from '../../../support/index.js';
import { EngineSide } from '../../../support/stacks/engine-side.js';
import { encodeDns, labels } from '../../../support/traffic/dns.js';

const HOST = '127.0.0.1';
/** As Listener has them (native/src/dns/server/listener.h). */
const MAX_STREAMS = 256;
const MAX_OF_CLIENT = 32;

const query = (id: number) => encodeDns({ id, name: labels('web.rootless.internal') });
const prefixed = (message: Buffer) =>
  Buffer.concat([Buffer.from([message.length >> 8, message.length & 0xff]), message]);

describe('the sockets of a DNS server', () => {
  let side: EngineSide;
  let [udp, tcp] = [0, 0];
  const clients: Socket[] = [];
  beforeEach(() => {
    side = new EngineSide();
    const [datagrams, connections] = [native().listen(HOST, 0, 'udp', false), native().listen(HOST, 0, 'tcp', false)];
    [udp, tcp] = [datagrams.port, connections.port];
    const domain = [{ names: ['web'], addresses: ['127.0.0.8'] }];
    side.engine.adoptNameServer(1, datagrams.fd, connections.fd, zoneText({ outside: 'never', domain }));
  });
  afterEach(() => {
    for (const client of clients.splice(0)) client.destroy();
    side[Symbol.dispose]();
  });

  async function open(localAddress: string): Promise<Socket> {
    const client = connect({ host: HOST, port: tcp, localAddress });
    client.on('error', () => {});
    clients.push(client);
    await new Promise((resolve) => client.once('connect', resolve).once('close', resolve));
    return client;
  }
  /** Undefined where the connection ends. */
  async function ask(client: Socket): Promise<number | undefined> {
    client.write(prefixed(query(7)));
    const data = await new Promise<Buffer | undefined>((resolve) => {
      client.once('data', resolve);
      client.once('close', () => resolve(undefined));
      if (client.destroyed) resolve(undefined);
    });
    // The response code, behind the length.
    return data && data.readUInt8(5) & 0xf;
  }

  it('answer each of many queries that come at once, to whom asked', async () => {
    const sockets = Array.from({ length: 5 }, () => createSocket('udp4'));
    try {
      const answered = sockets.map(() => new Set<number>());
      sockets.forEach((socket, i) => {
        socket.on('message', (message) => answered[i]?.add(message.readUInt16BE(0)));
      });
      await Promise.all(
        sockets.map(async (socket, i) => {
          socket.connect(udp, HOST);
          await once(socket, 'connect');
          for (let n = 0; n < 50; n++) socket.send(n % 10 === 9 ? Buffer.from('x') : query(i * 100 + n));
        }),
      );
      await waitFor(() => answered.every(({ size }) => size === 45), { what: 'all answers' });
      answered.forEach((ids, i) => {
        assert.ok([...ids].every((id) => Math.floor(id / 100) === i));
      });
    } finally {
      for (const socket of sockets) socket.close();
    }
  });

  it('have connections for each client, at the cost of the one that has most, and is idle', async () => {
    for (let i = 0; i < MAX_STREAMS / MAX_OF_CLIENT; i++) {
      await Promise.all(Array.from({ length: MAX_OF_CLIENT }, () => open(`127.0.1.${i + 1}`)));
    }
    await waitFor(() => clients.length === MAX_STREAMS, { what: 'all connections' });
    let closed = 0;
    for (const client of clients) client.once('close', () => closed++);
    // One with fewer gets in, one with as many does not.
    assert.equal(await ask(await open('127.0.1.100')), 0);
    assert.equal(await ask(await open('127.0.1.1')), undefined);
    await waitFor(() => closed === 1, { what: 'the end of one connection' });
    assert.equal(await ask(clients.find((client) => !client.destroyed) ?? assert.fail()), 0);
  });
});
