import assert from 'node:assert/strict';
import { changesBetween, checkPeers, type Peer, subnetsOf, wantedPeers } from '../../../../child/wireguard/wanted.js';
import {
  generateKeys,
  generatePresharedKey,
  isKey,
  keyBytes,
  publicKeyOf,
} from '../../../../protocol/wireguard/keys.js';
import { tunnelMtu } from '../../../../protocol/wireguard/mtu.js';

describe('keys of WireGuard', () => {
  it('are those of wg(8)', () => {
    // wg genkey | tee private | wg pubkey
    assert.equal(
      publicKeyOf('uLhuX9/BpemNsk+wZl+MAhGt+blpoEdu1zmi8QO7NUw='),
      '1Tpf5vs9tfjgYDUmW0VKUf3RkFVk3c47tOe1ScWnLlc=',
    );
    const pair = generateKeys();
    assert.equal(publicKeyOf(pair.privateKey), pair.publicKey);
    assert.equal(keyBytes(generatePresharedKey()).length, 32);
  });

  it('are 32 bytes in base64, written in the one way', () => {
    const { publicKey } = generateKeys();
    assert(isKey(publicKey));
    for (const text of ['', publicKey.slice(0, -1), `${publicKey}\n`, ` ${publicKey}`, 'AAAA', 5, undefined]) {
      assert(!isKey(text), String(text));
    }
    assert.throws(() => publicKeyOf('AAAA'), /^WireGuardError: invalid WireGuard key: expected 32 bytes in base64$/);
  });
});

describe('peers of a WireGuard device', () => {
  const [a, b, c] = [generateKeys().publicKey, generateKeys().publicKey, generateKeys().publicKey];
  const endpoint = { ip: '192.0.2.7', port: 51821 };
  const peer = (publicKey: string, rest: Partial<Peer> = {}): Peer => ({
    publicKey,
    subnets: ['10.50.1.0/24'],
    ...rest,
  });
  const none = new Map();

  it('are changed where they have changed', () => {
    const before = wantedPeers([peer(a, { endpoint }), peer(b, { subnets: ['10.50.2.0/24'] })], new Set());
    assert.deepEqual(
      changesBetween(none, before).map(({ publicKey, endpoint: at, keepalive }) => [publicKey, at, keepalive]),
      [
        [a, endpoint, 25],
        [b, undefined, 25],
      ],
    );
    assert.deepEqual(changesBetween(before, before), []);
    const moved = { ip: '192.0.2.8', port: 1 };
    const after = wantedPeers([peer(a, { endpoint: moved, keepalive: 5 }), peer(c)], new Set());
    const [first, second, third, ...rest] = changesBetween(before, after);
    assert.deepEqual(first, { publicKey: a, endpoint: moved, keepalive: 5 });
    assert.equal(second?.publicKey, c);
    // At last, so that a subnet that it had is never without a peer.
    assert.deepEqual(third, { publicKey: b, remove: true });
    assert.deepEqual(rest, []);
  });

  it('have two keys from the announcement of the next one to its use', () => {
    const announced = [peer(a, { endpoint, nextKey: b })];
    const before = wantedPeers([peer(a, { endpoint })], new Set());
    const waiting = wantedPeers(announced, new Set());
    const used = wantedPeers(announced, new Set([b]));
    assert.deepEqual(
      changesBetween(before, waiting).map(({ publicKey, allowedIps }) => [publicKey, allowedIps]),
      [[b, []]],
    );
    assert.deepEqual(changesBetween(waiting, used), [
      { publicKey: b, keepalive: 25, allowedIps: ['10.50.1.0/24'] },
      { publicKey: a, remove: true },
    ]);
    // And when it is the only one again.
    assert.deepEqual(changesBetween(used, wantedPeers([peer(b, { endpoint })], new Set())), []);
  });

  it('have subnets, each a route once', () => {
    assert.deepEqual(
      subnetsOf([peer(a, { subnets: ['fd00:0::/64', '10.1.0.0/16'] }), peer(b, { subnets: ['10.1.0.0/16'] })]),
      ['fd00::/64', '10.1.0.0/16'],
    );
  });

  it('are refused where they are not valid', () => {
    checkPeers([peer(a, { endpoint, nextKey: b, presharedKey: c, keepalive: 0, subnets: ['10.0.0.0/8', 'fd00::/8'] })]);
    for (const [peers, expected] of [
      [[peer('A')], /invalid WireGuard key/],
      [[peer(a, { nextKey: 'A' })], /invalid WireGuard key/],
      [[peer(a, { presharedKey: 'A' })], /invalid WireGuard key/],
      [[peer(a), peer(a)], /two peers have the key/],
      [[peer(a, { nextKey: b }), peer(b)], /two peers have the key/],
      [[peer(a, { endpoint: { ip: '192.0.2.7\nremove=true', port: 1 } })], /invalid endpoint/],
      [[peer(a, { endpoint: { ip: 'fe80::1%eth0', port: 1 } })], /invalid endpoint/],
      [[peer(a, { endpoint: { ip: '192.0.2.7', port: 0 } })], /invalid endpoint/],
      [[peer(a, { endpoint: { ip: '192.0.2.7', port: 65_536 } })], /invalid endpoint/],
      [[peer(a, { keepalive: -1 })], /invalid keepalive/],
      [[peer(a, { subnets: ['10.0.0.1/8'] })], /invalid subnet/],
      [[peer(a, { subnets: ['10.0.0.0/33'] })], /invalid subnet/],
      [[peer(a, { subnets: ['10.0.0.0/8\nallowed_ip=::/0'] })], /invalid subnet/],
    ] as const) {
      assert.throws(() => checkPeers(peers), expected);
    }
  });
});

describe('the MTU of a tunnel', () => {
  it('leaves room for what is around its packets, and for the Internet', () => {
    assert.deepEqual([1500, 65520, 1400, 9000, 1000].map(tunnelMtu), [1420, 1420, 1320, 1420, 1280]);
  });
});
