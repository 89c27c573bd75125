import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { freeShare, shareAt, shareCount, shareRules } from '../../../../protocol/overlay/subnets.js';
import { formatToken, parseToken, type StaticToken } from '../../../../protocol/overlay/token.js';
import { generateKeys, generatePresharedKey } from '../../../../protocol/wireguard/keys.js';

const member = (index: number) => ({
  host: randomUUID(),
  name: `host${index}`,
  publicKey: generateKeys().publicKey,
  address: `192.0.2.${index}`,
  port: 51820,
  subnets: [`10.50.${index}.0/24`],
});
const token: StaticToken = {
  kind: 'static',
  name: 'back',
  networks: ['10.50.0.0/16'],
  internal: false,
  presharedKey: generatePresharedKey(),
  members: [member(1), member(2)],
};

describe('tokens of overlay networks', () => {
  it('are read as they were written', () => {
    assert.deepEqual(parseToken(formatToken(token)), token);
    assert.deepEqual(parseToken(`  ${formatToken(token)}\n`), token);
    const etcd = { kind: 'etcd' as const, name: 'back', endpoints: ['https://e1:2379'], prefix: '/rootless-net/back' };
    assert.deepEqual(parseToken(formatToken(etcd)), etcd);
  });

  it('are refused where something is wrong, without being shown', () => {
    const whole = formatToken(token);
    const encoded = (value: unknown) => `rno1.${Buffer.from(JSON.stringify(value)).toString('base64url')}`;
    for (const text of [
      '',
      'rno2.abc',
      whole.slice(0, -20),
      `rno1.${'x'.repeat(600_000)}`,
      encoded({}),
      encoded({ ...token, members: [] }),
      encoded({ ...token, members: [{ ...member(1), address: 'fe80::1%eth0' }] }),
      encoded({ ...token, members: [{ ...member(1), publicKey: 'AAAA' }] }),
      encoded({ ...token, name: '../../etc' }),
      encoded({ kind: 'etcd', name: 'back', endpoints: ['file:///etc/passwd'], prefix: '/a' }),
      encoded({ kind: 'etcd', name: 'back', endpoints: ['https://e1:2379'], prefix: '/a/../b c' }),
    ]) {
      assert.throws(
        () => parseToken(text),
        (error: Error) => {
          assert.match(error.message, /^(this is not a token|the token is invalid)/);
          assert.ok(!error.message.includes(token.presharedKey));
          return true;
        },
        text.slice(0, 80),
      );
    }
  });
});

describe("a host's share of an overlay network", () => {
  const rules = shareRules(['10.50.0.0/16', 'fd00:50::/48']) ?? assert.fail('valid networks');

  it('is a subnet of each family with the same number, and never the first one', () => {
    assert.equal(shareCount(rules), 256);
    assert.deepEqual(shareAt(rules, 3), ['10.50.3.0/24', 'fd00:50:0:3::/64']);
    assert.deepEqual(freeShare(rules, [], 0), ['10.50.1.0/24', 'fd00:50:0:1::/64']);
    assert.deepEqual(freeShare(rules, [], 255), ['10.50.255.0/24', 'fd00:50:0:ff::/64']);
  });

  it('is free in both families', () => {
    assert.deepEqual(freeShare(rules, ['10.50.1.0/25', 'fd00:50:0:2::/64'], 1), ['10.50.3.0/24', 'fd00:50:0:3::/64']);
    const all = Array.from({ length: 256 }, (_, index) => `10.50.${index}.0/24`);
    assert.equal(freeShare(rules, all, 7), undefined);
  });

  it('stays within the bounds that flannel was given', () => {
    const bounded = { ...rules, first: 0x0a320a00n, last: 0x0a320b00n };
    assert.deepEqual(freeShare(bounded, [], 200)?.[0], '10.50.10.0/24');
    assert.equal(freeShare(bounded, ['10.50.10.0/23'], 0), undefined);
  });

  it('needs an IPv4 network with room', () => {
    for (const networks of [
      ['10.50.1.0/24'],
      ['fd00::/48'],
      ['10.50.0.0/16', '10.51.0.0/16'],
      ['10.50.0.0/16', 'fd00::/64'],
      [],
    ]) {
      assert.equal(shareRules(networks), undefined, networks.join());
    }
  });
});
