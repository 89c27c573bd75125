import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { Exchange } from '../../../../../../child/container/network/overlay/exchange.js';
import { foreignContainers, overlayNames } from '../../../../../../child/container/network/overlay/names.js';
import { EXCHANGE_PORT, type OverlayMember, type OverlayName } from '../../../../../../protocol/overlay/types.js';
import { generateKeys } from '../../../../../../protocol/wireguard/keys.js';
import { waitFor } from '../../../../../support/index.js';

/** On loopback: its gateway's address is 127.9.INDEX.1. */
const member = (index: number): OverlayMember => ({
  host: randomUUID(),
  name: `host${index}`,
  publicKey: generateKeys().publicKey,
  address: '192.0.2.1',
  port: 51820,
  subnets: [`127.9.${index}.0/24`],
});

describe('the exchange between agents of an overlay network', () => {
  const [one, two] = [member(1), member(2)];
  const open = (index: number, names: () => readonly OverlayName[] = () => []) =>
    Exchange.open({ gateway: `127.9.${index}.1`, names, changed: () => {} });

  it('has the names of peers, in as many datagrams as they need, and how long a packet takes', async () => {
    let names = Array.from({ length: 500 }, (_, index) => ({
      name: `container-${index}`,
      addresses: [`127.9.2.${index % 250}`],
    }));
    const first = await open(1);
    const second = await open(2, () => names);
    first.setPeers([two]);
    second.setPeers([one]);
    await waitFor(() => first.names()[0]?.names.length === 500, { what: 'the names' });
    assert.deepEqual(
      new Map(first.names()[0]?.names.map(({ name, addresses }) => [name, addresses])),
      new Map(names.map(({ name, addresses }) => [name, addresses])),
    );
    await waitFor(() => first.statusOf(two.host).latency !== undefined, { what: 'the latency' });
    names = [];
    second.namesChanged();
    await waitFor(() => first.names()[0]?.names.length === 0, { what: 'the names to go' });
    first.setPeers([]);
    assert.deepEqual(first.names(), []);
    first.close();
    second.close();
  });

  it('passes on changes of a peer’s names at once, and not more often than is of use', async () => {
    let changes = 0;
    const exchange = await Exchange.open({ gateway: '127.9.1.1', names: () => [], changed: () => changes++ });
    exchange.setPeers([two]);
    const socket = createSocket('udp4');
    socket.bind(EXCHANGE_PORT, '127.9.2.1');
    await once(socket, 'listening');
    const before = changes;
    for (let generation = 1; generation <= 200; generation++) {
      const list = [[`name-${generation}`, ['127.9.2.9']]];
      socket.send(JSON.stringify({ names: generation, part: 0, of: 1, list }), EXCHANGE_PORT, '127.9.1.1');
    }
    const last = () => exchange.names()[0]?.names[0]?.name;
    await waitFor(() => last() === 'name-200' && changes > before, { what: 'the last names' });
    assert.ok(changes - before <= 20, `${changes - before} changes`);
    socket.close();
    exchange.close();
  });

  it('takes nothing from strangers, nor what is malformed or names the addresses of others', async () => {
    const exchange = await open(1);
    exchange.setPeers([two]);
    const send = async (from: string, port: number, ...texts: (string | Buffer)[]) => {
      const socket = createSocket('udp4');
      socket.bind(port, from);
      await once(socket, 'listening');
      for (const text of texts) socket.send(text, EXCHANGE_PORT, '127.9.1.1');
      // What was sent before this has been read when it is answered.
      socket.send('{"hello":7}', EXCHANGE_PORT, '127.9.1.1');
      return socket;
    };
    const list = (name: string, ...addresses: string[]) =>
      JSON.stringify({ names: 1, part: 0, of: 1, list: [[name, addresses]] });
    const stranger = await send('127.9.3.1', EXCHANGE_PORT, list('web', '127.9.2.9'));
    const otherPort = await send('127.9.2.1', EXCHANGE_PORT + 1, list('web', '127.9.2.9'));
    const peer = await send(
      ...(['127.9.2.1', EXCHANGE_PORT] as const),
      ...[
        '',
        'nonsense',
        '[]',
        '{}',
        '{"echo":"x"}',
        Buffer.alloc(9000, 0x7b),
        list('web', '127.9.3.9'),
        list('WEB', '127.9.2.9'),
        list('registry.npmjs.org', '127.9.2.9'),
        list('localhost', '127.9.2.9'),
      ],
      ...[JSON.stringify({ names: 1, part: 2000, of: 5000, list: [] }), list('../x', '127.9.2.9')],
    );
    const answers: string[] = [];
    peer.on('message', (data) => answers.push(data.toString()));
    await waitFor(() => answers.includes('{"echo":7}'), { what: 'the answer' });
    assert.deepEqual(
      exchange.names().flatMap(({ names }) => names),
      [],
    );
    for (const socket of [stranger, otherPort, peer]) socket.close();
    exchange.close();
  });
});

describe('names of containers on overlay networks', () => {
  const container = (id: string, name: string, hostname: string, ip: string, aliases: string[] = []) => ({
    ...{ id, name, hostname },
    networks: [{ name: 'back', ips: [ip], aliases }],
  });

  it('have the addresses of all that have them, in lower case, and leave out what is not a DNS name', () => {
    const names = overlayNames([
      container('1', 'Web', 'h1', '10.50.1.2', ['www', 'not a name', 'www.example.com', 'localhost']),
      container('2', 'web-2', 'h2', '10.50.1.3', ['www']),
    ]);
    assert.deepEqual(
      new Map(names.map(({ name, addresses }) => [name, addresses])),
      new Map([
        ['web', ['10.50.1.2']],
        ['h1', ['10.50.1.2']],
        ['www', ['10.50.1.2', '10.50.1.3']],
        ['web-2', ['10.50.1.3']],
        ['h2', ['10.50.1.3']],
      ]),
    );
  });

  it('are in hosts files as those of containers here', () => {
    const [found] = foreignContainers('back', [{ host: 'x', names: [{ name: 'web', addresses: ['10.50.2.2'] }] }]);
    assert.deepEqual(found?.networks, [{ name: 'back', ips: ['10.50.2.2'], aliases: [] }]);
  });
});
