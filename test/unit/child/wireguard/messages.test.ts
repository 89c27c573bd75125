import assert from 'node:assert/strict';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { familyIn, familyMessage, peersIn, setMessages } from '../../../../child/wireguard/kernel-messages.js';
import { exchange, peersIn as peersInText, setRequest } from '../../../../child/wireguard/uapi.js';
import { attribute, NetlinkSocket } from '../../../../native/netlink.js';
import { tempDir } from '../../../support/index.js';

const bytes = (first: number) => Buffer.from(Array.from({ length: 32 }, (_, index) => first + index));
const key = bytes(0).toString('base64');
const presharedKey = bytes(32).toString('base64');
const peer = {
  publicKey: key,
  presharedKey,
  endpoint: { ip: '192.0.2.7', port: 51821 },
  keepalive: 25,
  allowedIps: ['10.50.1.0/24', 'fd00::/64'],
};
const NESTED = 0x8000;
const nested = (type: number, ...content: Buffer[]) => attribute(type | NESTED, Buffer.concat(content));

describe("messages to the kernel's WireGuard", () => {
  it('are as other programs write them', () => {
    const [own, added, removed] = [
      ...setMessages(30, 'wg0', { privateKey: key, listenPort: 51820 }),
      ...setMessages(30, 'wg0', { peers: [peer, { publicKey: key, remove: true }] }),
    ].map(({ payload, type }) => {
      assert.equal(type, 30);
      return payload.toString('hex');
    });
    // Those of pyroute2 0.7.2, which numbers the elements of lists.
    const head = '01010000080002007767300';
    const hexKey = bytes(0).toString('hex');
    assert.equal(own, `${head}024000300${hexKey}060006006cca0000`);
    assert.equal(
      added,
      `${head}0bc000880b800008024000100${hexKey}080003000200000024000200${bytes(32).toString('hex')}` +
        '140004000200ca6dc000020700000000000000000600050019000000480009801c000080060001000200000008000200' +
        '0a320100050003001800000028000080060001000a00000014000200fd0000000000000000000000000000000500030040000000',
    );
    assert.equal(removed, `${head}034000880300000802400010${`0${hexKey}`}0800030001000000`);
  });

  it('are sent to the family that the kernel names, if it has one', () => {
    using socket = new NetlinkSocket(16);
    const controller = socket.get(familyMessage('nlctrl'));
    assert.equal(controller && familyIn(controller.payload), 16);
    assert.equal(socket.get(familyMessage('no-such-family')), undefined);
  });

  it('have peers in answers, one of which may be in several', () => {
    const time = Buffer.alloc(16);
    time.writeBigInt64LE(1_700_000_000n, 0);
    time.writeBigInt64LE(5_999_999n, 8);
    const count = (value: bigint) => {
      const out = Buffer.alloc(8);
      out.writeBigUInt64LE(value);
      return out;
    };
    const subnet = (address: number[], length: number) =>
      nested(
        0,
        attribute(1, Buffer.from([address.length === 4 ? 2 : 10, 0])),
        attribute(2, Buffer.from(address)),
        attribute(3, Buffer.from([length])),
      );
    const ip6 = [0xfd, ...Array.from({ length: 14 }, () => 0), 1];
    const endpoint6 = Buffer.from([10, 0, 0xca, 0x6d, 0, 0, 0, 0, ...ip6, 0, 0, 0, 0]);
    const answer = (...peers: Buffer[]) => Buffer.concat([Buffer.from([0, 1, 0, 0]), nested(8, ...peers)]);
    const first = answer(
      nested(
        0,
        attribute(1, bytes(0)),
        attribute(4, endpoint6),
        attribute(6, time),
        attribute(7, count(5n)),
        attribute(8, count(6n)),
        nested(9, subnet([10, 1, 0, 0], 16)),
      ),
      nested(0, attribute(1, bytes(32))),
    );
    const second = answer(nested(0, attribute(1, bytes(0)), nested(9, subnet(ip6, 128))));
    assert.deepEqual(peersIn([first, second, Buffer.from([0, 1, 0, 0])]), [
      {
        publicKey: key,
        endpoint: '[fd00::1]:51821',
        allowedIps: ['10.1.0.0/16', 'fd00::1/128'],
        lastHandshake: 1_700_000_000_005,
        bytesReceived: 5,
        bytesSent: 6,
      },
      { publicKey: presharedKey, endpoint: '', allowedIps: [], lastHandshake: 0, bytesReceived: 0, bytesSent: 0 },
    ]);
  });
});

describe("the protocol of wireguard-go's socket", () => {
  /** Answers every request with that, and keeps the connection open. */
  async function answering<T>(answer: string | undefined, task: (path: string) => Promise<T>): Promise<T> {
    const path = join(tempDir(), 's');
    const server = createServer((socket) => {
      socket.on('error', () => {});
      if (answer === undefined) socket.destroy();
      else socket.on('data', () => socket.write(answer));
    });
    await new Promise<void>((resolve) => server.listen(path, resolve));
    try {
      return await task(path);
    } finally {
      server.close();
    }
  }

  it('has changes as lines', () => {
    const hex = bytes(0).toString('hex');
    assert.equal(
      setRequest({ privateKey: key, listenPort: 51820, peers: [peer, { publicKey: key, remove: true }] }),
      [
        'set=1',
        `private_key=${hex}`,
        'listen_port=51820',
        `public_key=${hex}`,
        `preshared_key=${bytes(32).toString('hex')}`,
        'endpoint=192.0.2.7:51821',
        'persistent_keepalive_interval=25',
        'replace_allowed_ips=true',
        'allowed_ip=10.50.1.0/24',
        'allowed_ip=fd00::/64',
        `public_key=${hex}`,
        'remove=true\n',
      ].join('\n'),
    );
    const [first = ''] = setRequest({ peers: [{ publicKey: key, endpoint: { ip: 'fd00::1', port: 1 } }] }).match(
      /endpoint=.*/,
    ) ?? [''];
    assert.equal(first, 'endpoint=[fd00::1]:1');
  });

  it('has peers in answers', async () => {
    const hex = bytes(0).toString('hex');
    const text = `private_key=${hex}\nlisten_port=1\npublic_key=${hex}\nendpoint=192.0.2.7:9\nlast_handshake_time_sec=3\nlast_handshake_time_nsec=2000000\ntx_bytes=7\nrx_bytes=8\nallowed_ip=10.1.0.0/16\nallowed_ip=10.2.0.0/16\nprotocol_version=1\nerrno=0\n\n`;
    const lines = await answering(text, (path) => exchange(path, 'get=1\n'));
    assert.deepEqual(peersInText(lines), [
      {
        publicKey: key,
        endpoint: '192.0.2.7:9',
        allowedIps: ['10.1.0.0/16', '10.2.0.0/16'],
        lastHandshake: 3002,
        bytesReceived: 8,
        bytesSent: 7,
      },
    ]);
  });

  it('has errors with their names, and answers that are none are refused', async () => {
    for (const [answer, expected] of [
      ['errno=-98\n\n', /^WireGuardError: wireguard-go refused a request: EADDRINUSE$/],
      ['errno=22\n\n', /refused a request: EINVAL$/],
      ['errno=99999\n\n', /refused a request: /],
      [undefined, /^WireGuardError: wireguard-go does not answer on its socket: /],
      ['x'.repeat(5 << 20), /does not answer on its socket: the response is too long$/],
    ] as const) {
      await assert.rejects(
        answering(answer, (path) => exchange(path, 'set=1\n')),
        expected,
      );
    }
    await assert.rejects(exchange('/no/such/socket', 'get=1\n'), /does not answer on its socket: .*ENOENT/);
  });
});
