import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import type { KeyValue } from '../../../../parent/overlay/etcd/client.js';
import {
  formatConfig,
  formatShare,
  isFlannelHost,
  parseConfig,
  parseShare,
  parseSubnetKey,
  subnetKey,
} from '../../../../parent/overlay/registry/layout.js';
import { readPicture } from '../../../../parent/overlay/registry/picture.js';
import { mergeMembers } from '../../../../parent/overlay/static-membership.js';
import { generateKeys } from '../../../../protocol/wireguard/keys.js';

const member = (index: number) => ({
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
  const picture = (entries: Record<string, string>) => {
    const list = Object.entries(entries).map(
      ([key, value]): KeyValue => ({ key: `${prefix}/${key}`, value, lease: '0', modRevision: 1n }),
    );
    return readPicture(prefix, new Map(list.map((entry) => [entry.key, entry])), {
      networks: ['10.50.0.0/16'],
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

  it('believes names of addresses that their host has, and no others', () => {
    const [one, two] = [member(1), member(2)];
    const { names } = picture(
      Object.fromEntries([
        share(one),
        share(two),
        [`names/web/${one.host}`, '{"a":["10.50.1.9","10.50.2.9","10.99.0.1"]}'],
        [`names/db/${two.host}`, '{"a":["10.50.1.9"]}'],
        [`names/UPPER/${two.host}`, '{"a":["10.50.2.9"]}'],
        [`names/x/${randomUUID()}`, '{"a":["10.50.2.9"]}'],
        [`names/y/${two.host}`, 'nonsense'],
      ]),
    );
    assert.deepEqual(names, [{ host: one.host, names: [{ name: 'web', addresses: ['10.50.1.9'] }] }]);
  });
});

describe('tokens of a static network that meet', () => {
  it('lead to the same members in any order, the newest of each', () => {
    const [one, two] = [member(1), member(2)];
    const moved = { ...one, address: '192.0.2.99' };
    assert.deepEqual(mergeMembers([one], [two, moved]), [moved, two]);
  });

  it('are refused where two members have one subnet or key', () => {
    const [one, two] = [member(1), member(2)];
    assert.throws(
      () => mergeMembers([one], [{ ...two, subnets: one.subnets }]),
      /host1.*same subnet 10\.50\.1\.0\/24|same subnet/,
    );
    assert.throws(() => mergeMembers([one], [{ ...two, publicKey: one.publicKey }]), /two members have the key/);
  });
});
