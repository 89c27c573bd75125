import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import type { KeyValue } from '../../../../parent/overlay/etcd/client.js';
import {
  formatConfig,
  formatShare,
  isFlannelHost,
  parseAlive,
  parseConfig,
  parseShare,
  parseSubnetKey,
  subnetKey,
} from '../../../../parent/overlay/registry/layout.js';
import { readPicture } from '../../../../parent/overlay/registry/picture.js';
import { hostIn } from '../../../../parent/overlay/registry/share.js';
import { mergeMembers } from '../../../../parent/overlay/static-membership.js';
import type { OverlayMember } from '../../../../protocol/overlay/types.js';
import { generateKeys } from '../../../../protocol/wireguard/keys.js';

const member = (index: number): OverlayMember => ({
  host: randomUUID(),
  name: `host${index}`,
  publicKey: generateKeys().publicKey,
  address: `192.0.2.${index}`,
  port: 51820 + index,
  subnets: [`10.50.${index}.0/24`],
});

describe("flannel's layout of the registry", () => {
  it('has configurations as flanneld reads them, and reads those that flannel has documented', () => {
    const text = formatConfig('back', ['10.50.0.0/16', 'fd00:50::/48'], true);
    const { Network, IPv6Network, EnableIPv6, SubnetLen, Backend } = JSON.parse(text);
    assert.deepEqual(
      [Network, IPv6Network, EnableIPv6, SubnetLen, Backend.Type],
      ['10.50.0.0/16', 'fd00:50::/48', true, 24, 'wireguard'],
    );
    const own = parseConfig(text);
    assert.deepEqual([own?.networks, own?.own, own?.internal], [['10.50.0.0/16', 'fd00:50::/48'], true, true]);
    const flannel = parseConfig(
      '{"Network":"10.5.0.0/16","SubnetMin":"10.5.8.0","Backend":{"Type":"wireguard","ListenPort":7000}}',
    );
    assert.deepEqual(
      [flannel?.listenPort, flannel?.prefix, flannel?.first, flannel?.own],
      [7000, 24, '10.5.8.0', false],
    );
    for (const wrong of [
      '',
      '{}',
      'null',
      '{"Network":"10.5.0.0/16","Backend":{"Type":"vxlan"}}',
      '{"Network":"x","Backend":{"Type":"wireguard"}}',
      '{"Network":"10.5.0.0/16","EnableIPv6":true,"Backend":{"Type":"wireguard"}}',
      '{"Network":"10.5.0.0/16","EnableIPv6":true,"IPv6Network":"10.6.0.0/16","Backend":{"Type":"wireguard"}}',
      '{"Network":"10.5.0.0/16","EnableIPv6":true,"IPv6Network":"fd00::/48","IPv6SubnetLen":80,"Backend":{"Type":"wireguard"}}',
    ]) {
      assert.equal(parseConfig(wrong), undefined, wrong);
    }
  });

  it('names shares by their subnets', () => {
    assert.equal(subnetKey(['10.50.1.0/24']), '10.50.1.0-24');
    assert.equal(subnetKey(['10.50.1.0/24', 'fd00:50:0:1::/64']), '10.50.1.0-24&fd00:50:0:1::-64');
    assert.deepEqual(parseSubnetKey('10.50.1.0-24&fd00:50:0:1::-64'), ['10.50.1.0/24', 'fd00:50:0:1::/64']);
    for (const wrong of [
      '',
      'x',
      '10.50.1.0',
      '10.50.1.0-33',
      'fd00::-64',
      '10.50.1.0-24&10.50.2.0-24',
      '10.50.1.0-24&&',
    ]) {
      assert.equal(parseSubnetKey(wrong), undefined, wrong);
    }
  });

  it('has shares that are read as they were written, and skips what is invalid', () => {
    const one = { ...member(1), nextKey: generateKeys().publicKey };
    assert.deepEqual(parseShare('10.50.1.0-24', formatShare(one), 1), one);
    const v6 = { ...member(1), address: '2001:db8::1' };
    assert.deepEqual(parseShare('10.50.1.0-24', formatShare(v6), 1), v6);
    const flanneld = { PublicIP: '192.0.2.7', BackendType: 'wireguard', BackendData: { PublicKey: one.publicKey } };
    const read = parseShare('10.50.9.0-24', JSON.stringify(flanneld), 51820);
    assert.equal(isFlannelHost(read?.host ?? ''), true);
    assert.equal(read?.port, 51820);
    for (const wrong of [
      '',
      '[]',
      '{}',
      JSON.stringify({ ...flanneld, PublicIP: 'x' }),
      JSON.stringify({ ...flanneld, BackendType: 'vxlan' }),
    ]) {
      assert.equal(parseShare('10.50.1.0-24', wrong, 1), undefined, wrong);
    }
  });
});

describe('the picture of a registry', () => {
  const prefix = '/test';
  /** Made in that order, and listed in the order of their keys, as etcd does it. */
  const picture = (entries: Record<string, string>) => {
    const list = Object.entries(entries)
      .map(
        ([key, value], index): KeyValue => ({
          ...{ key: `${prefix}/${key}`, value, lease: '0', modRevision: 99n, createRevision: BigInt(index + 1) },
        }),
      )
      .sort((a, b) => (a.key < b.key ? -1 : 1));
    return readPicture(prefix, new Map(list.map((entry) => [entry.key, entry])), {
      networks: ['10.50.0.0/16'],
      prefix: 24,
      listenPort: 51820,
    });
  };
  const share = (one: ReturnType<typeof member>) => [`subnets/${subnetKey(one.subnets)}`, formatShare(one)] as const;

  it('leaves out shares elsewhere, those of two hosts with one key or identity, and expelled hosts', () => {
    const [one, two, three] = [member(1), member(2), member(3)];
    const hosts = [
      ...picture(
        Object.fromEntries([
          share(one),
          share({ ...two, publicKey: one.publicKey }),
          share({ ...member(4), host: one.host }),
          share({ ...member(5), subnets: ['10.99.5.0/24'] }),
          share(three),
          [`expelled/${three.host}`, JSON.stringify({ host: three.host, name: 'three', keys: [] })],
        ]),
      ).members.keys(),
    ];
    assert.deepEqual(hosts, [one.host]);
  });

  it('is not changed by what comes later for the same subnets, hosts and keys, whatever its key in etcd', () => {
    const [victim, other] = [member(200), member(3)];
    const entries = [
      share(victim),
      share(other),
      ['subnets/10.50.0.0-16', formatShare({ ...member(4), subnets: ['10.50.0.0/16'] })],
      ['subnets/10.50.200.0-25', formatShare({ ...member(5), subnets: ['10.50.200.0/25'] })],
      ['subnets/10.50.1.0-24', formatShare({ ...member(6), host: victim.host })],
      ['subnets/10.50.10.0-24', formatShare({ ...member(7), publicKey: victim.publicKey })],
      ['subnets/10.50.200.7-24', formatShare(member(8))],
      // Another member's key as the next one would make the tunnel refuse all peers.
      share({ ...member(9), name: 'thief', nextKey: victim.publicKey }),
    ];
    const { members } = picture(Object.fromEntries(entries));
    assert.deepEqual(
      [...members.values()].map(({ name, nextKey }) => [name, nextKey]),
      [
        ['host200', undefined],
        ['host3', undefined],
        ['thief', undefined],
      ],
    );
  });

  it('has no text that could be more than a name to whoever reads it', () => {
    const alive = (name: string, version = '1.0.0') => JSON.stringify({ name, version, instance: 'a', boot: 'b' });
    assert.equal(parseAlive(alive('one'))?.name, 'one');
    for (const wrong of [
      alive('\u001b[2Jone'),
      alive('a b'),
      alive('one', '\n'),
      alive('x'.repeat(65)),
      '[]',
      'null',
    ]) {
      assert.equal(parseAlive(wrong), undefined);
    }
    const of = (host: unknown) => hostIn(JSON.stringify({ BackendData: { Host: host } }));
    const id = randomUUID();
    assert.deepEqual([id, '\u001b[2J', 7, null].map(of), [id, undefined, undefined, undefined]);
  });

  it('believes names of addresses that their host has, and no others', () => {
    const [one, two] = [member(1), member(2)];
    const { names } = picture(
      Object.fromEntries([
        share(one),
        share(two),
        [`names/web/${one.host}`, '{"a":["10.50.1.9","10.50.2.9","10.99.0.1"]}'],
        [`names/db/${two.host}`, '{"a":["10.50.1.9"]}'],
        [`names/UPPER/${two.host}`, '{"a":["10.50.2.9"]}'],
        [`names/example.com/${two.host}`, '{"a":["10.50.2.9"]}'],
        [`names/x/${randomUUID()}`, '{"a":["10.50.2.9"]}'],
        [`names/y/${two.host}`, 'nonsense'],
      ]),
    );
    assert.deepEqual(names, [{ host: one.host, names: [{ name: 'web', addresses: ['10.50.1.9'] }] }]);
  });
});

describe('tokens of a static network that meet', () => {
  const NETWORKS = ['10.50.0.0/16'];

  it('lead to the same members in any order, the newest of each', () => {
    const [one, two] = [member(1), member(2)];
    const moved = { ...one, address: '192.0.2.99' };
    assert.deepEqual(mergeMembers([one], [two, moved], NETWORKS), [moved, two]);
  });

  it('are refused where two members have one subnet or key', () => {
    const [one, two] = [member(1), member(2)];
    assert.throws(
      () => mergeMembers([one], [{ ...two, subnets: one.subnets }], NETWORKS),
      /host1.*same subnet 10\.50\.1\.0\/24|same subnet/,
    );
    assert.throws(
      () => mergeMembers([one], [{ ...two, publicKey: one.publicKey }], NETWORKS),
      /two members have the key/,
    );
  });

  it('are refused where a member would get what is not of the network', () => {
    for (const subnets of [['0.0.0.0/0'], ['10.0.2.0/24'], ['10.50.0.0/16'], ['10.50.1.0/24', 'fd00::/64'], ['::/0']]) {
      assert.throws(() => mergeMembers([], [{ ...member(1), subnets }], NETWORKS), /of host1 is not a share of 10\.50/);
    }
  });
});
