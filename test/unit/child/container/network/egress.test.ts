import assert from 'node:assert/strict';
import { linkLocalOf, tablesOf } from '../../../../../child/container/network/egress/filter.js';
import { peerStatements } from '../../../../../child/container/network/egress/peer-rules.js';
import { changedRules } from '../../../../../protocol/egress/container-policy.js';
import { parseRuleLine } from '../../../../../protocol/egress/grammar.js';

const rules = (...lines: string[]) => lines.flatMap((line) => parseRuleLine(line, 'test') ?? []);
const surroundings = {
  subnets: ['10.4.0.0/24', '192.0.2.0/24'],
  peers: [
    { ip: '10.4.0.3', names: ['db', 'db.back'] },
    { ip: '10.4.0.4', names: ['web', 'www.back'] },
  ],
};
const statements = (...lines: string[]) => peerStatements(rules(...lines), surroundings);

describe('egress rules about other containers', () => {
  it('open a peer by its name, and nothing else', () => {
    assert.deepEqual(statements('allow db:5432'), [
      'ip daddr 10.4.0.3 tcp dport 5432 return',
      'ip daddr 10.4.0.3 udp dport 5432 return',
      'goto refuse',
    ]);
    assert.deepEqual(statements('allow *.back:1-2', 'allow registry.test'), [
      'ip daddr 10.4.0.3 tcp dport 1-2 return',
      'ip daddr 10.4.0.3 udp dport 1-2 return',
      'ip daddr 10.4.0.4 tcp dport 1-2 return',
      'ip daddr 10.4.0.4 udp dport 1-2 return',
      'goto refuse',
    ]);
  });

  it('open a private network only if they are inside of its range', () => {
    assert.deepEqual(statements('allow tcp:0.0.0.0/0'), [
      'ip daddr 192.0.2.0/24 meta l4proto tcp return',
      'goto refuse',
    ]);
    assert.deepEqual(statements('allow tcp:10.0.0.0/8'), [
      'ip daddr 10.4.0.0/24 meta l4proto tcp return',
      'goto refuse',
    ]);
    assert.deepEqual(statements('allow tcp'), ['ip daddr 192.0.2.0/24 meta l4proto tcp return', 'goto refuse']);
    assert.deepEqual(statements('allow icmp:10.4.0.9', 'allow 10.5.0.0/16'), [
      'ip daddr 10.4.0.9/32 icmp type echo-request return',
      'goto refuse',
    ]);
  });

  it('deny first, and leave the rest of its networks open where they deny only', () => {
    assert.deepEqual(statements('allow tcp:10.4.0.0/24', 'deny tcp:db'), [
      'ip daddr 10.4.0.3 meta l4proto tcp goto refuse',
      'ip daddr 10.4.0.0/24 meta l4proto tcp return',
      'goto refuse',
    ]);
    assert.deepEqual(statements('deny udp:web'), ['ip daddr 10.4.0.4 meta l4proto udp goto refuse', 'return']);
  });

  it('are part of tables that name the container by its device, MAC and addresses', () => {
    const one = { ifname: 'eth0', device: 'rnv1', mac: '02:00:00:00:00:01', addresses: ['10.4.0.2', 'fd01::2'] };
    const bridge = {
      bridge: 'rootless0',
      bridgeMac: '02:00:00:00:00:09',
      subnets: ['10.4.0.0/24'],
      gateways: ['10.4.0.1'],
    };
    const container = { id: 'a', own: [], networks: [], interfaces: [{ ...one, ...bridge }], peers: [] };
    const text = tablesOf([container], 'eth0');
    assert.match(text, /"rnv1" \. 02:00:00:00:00:01 \. 10\.4\.0\.2/);
    assert.match(text, /"rnv1" \. 02:00:00:00:00:01 \. fe80::0000:00ff:fe00:0001/);
    assert.match(text, /10\.4\.0\.2 : 02:00:00:00:00:09/);
    // Bridged, with br_netfilter.
    assert.match(text, /hook forward[^}]*\n {4}ip6 hoplimit 255 icmpv6 type \{ nd-[^}]*\} accept\n {4}ip saddr vmap/);
    // What it may advertise: fd01::2, and its link-local address.
    const targets = ['fd010000000000000000000000000002', 'fe80000000000000000000fffe000001'];
    assert.match(text, new RegExp(`iifname "rnv1" @th,64,128 \\{ 0x${targets.join(', 0x')} \\} accept`));
    assert.equal(linkLocalOf('02:11:22:33:44:55'), 'fe80::0011:22ff:fe33:4455');
  });

  it('are added once, and the last one that allows is not removed', () => {
    assert.deepEqual(changedRules(['allow a.test'], 'add', ['allow A.test.', 'deny b.test']), [
      'allow a.test',
      'deny b.test',
    ]);
    assert.deepEqual(changedRules(['allow a.test', 'deny b.test'], 'remove', ['deny b.test']), ['allow a.test']);
    assert.throws(() => changedRules(['allow a.test'], 'remove', ['allow a.test']), /add "allow @none" first/);
    assert.throws(() => changedRules([], 'remove', ['allow a.test']), /there is no rule "allow a\.test"/);
  });
});
