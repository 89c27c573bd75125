import assert from 'node:assert/strict';
import {
  firstFreeSubnet,
  firstHost,
  lastHost,
  overlaps,
  parseSubnet,
  ranges,
  SubnetError,
  ulaSubnet,
} from '../../../../../../child/container/network/ipam/subnets.js';
import { cidrContains, formatSubnet } from '../../../../../../protocol/net/cidr.js';
import { compareIPs, formatIP, parseIP } from '../../../../../../protocol/net/ip.js';

/** Compares the message, and the class of the error. */
function refuses(callback: () => unknown, message: RegExp): void {
  assert.throws(callback, (error: Error) => {
    assert(error instanceof SubnetError, `threw ${String(error)}`);
    assert.match(error.message, message);
    assert.doesNotMatch(error.message, /\n/, 'the message is one line');
    return true;
  });
}

describe('IP addresses', () => {
  const canonical: [text: string, canonical: string][] = [
    ['10.4.0.2', '10.4.0.2'],
    ['0.0.0.0', '0.0.0.0'],
    ['255.255.255.255', '255.255.255.255'],
    ['::', '::'],
    ['0:0::1', '::1'],
    ['FD00:0:0:1::00A', 'fd00:0:0:1::a'],
    // The first of two equal runs of zeros, and none for a single zero.
    ['2001:db8:0:0:1:0:0:1', '2001:db8::1:0:0:1'],
    ['2001:db8:0:1:1:1:1:1', '2001:db8:0:1:1:1:1:1'],
    ['1:0:0:2:0:0:0:3', '1:0:0:2::3'],
    ['::ffff:10.4.0.2', '10.4.0.2'],
    ['::a04:2', '::a04:2'],
    ['ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff', 'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff'],
  ];
  for (const [text, expected] of canonical) {
    it(`writes ${text} as ${expected}`, () => {
      const address = parseIP(text);
      assert(address);
      assert.equal(formatIP(address), expected);
    });
  }

  for (const text of ['', '10.4.0', '10.4.0.256', '010.4.0.1', '0x0a.4.0.1', 'fe80::1%eth0', '[::1]', '10.4.0.1/24']) {
    it(`are not ${JSON.stringify(text)}`, () => assert.equal(parseIP(text), undefined));
  }

  it('are sorted as numbers, IPv4 first', () => {
    const sorted = ['fd00::2', '10.4.0.10', '::1', '10.4.0.9', '9.0.0.0', '10.4.0.9']
      .map(parseIP)
      .filter((ip) => ip !== undefined)
      .sort(compareIPs);
    assert.deepEqual(sorted.map(formatIP), ['9.0.0.0', '10.4.0.9', '10.4.0.9', '10.4.0.10', '::1', 'fd00::2']);
  });
});

describe('subnets', () => {
  it('are read and written', () => {
    assert.deepEqual(parseSubnet('10.4.1.0/24'), { family: 4, prefix: 24, first: 0x0a040100n, last: 0x0a0401ffn });
    for (const text of ['0.0.0.0/0', '10.4.1.7/32', 'fd00:1::/64', '::/0', '::1/128']) {
      assert.equal(formatSubnet(parseSubnet(text)), text);
    }
  });

  it('are refused with bits after the prefix', () => {
    refuses(() => parseSubnet('10.1.2.3/24'), /^unexpected subnet 10\.1\.2\.3\/24, did you mean 10\.1\.2\.0\/24\?$/);
    refuses(() => parseSubnet('fd00::1/64'), /^unexpected subnet fd00::1\/64, did you mean fd00::\/64\?$/);
  });

  for (const text of ['', '10.4.0.0', '10.4.0.0/33', '::/129', '10.4.0.0/-1', '10.4.0.0/24/1', 'x/24', '10.4.0.0/a']) {
    it(`are not ${JSON.stringify(text)}`, () => {
      refuses(() => parseSubnet(text), /^invalid subnet ".*": expected CIDR notation such as/);
      refuses(() => overlaps('10.4.0.0/24', text), /^invalid subnet/);
    });
  }

  const pairs: [a: string, b: string, overlap: boolean][] = [
    ['10.4.0.0/24', '10.4.0.0/24', true],
    ['10.4.0.0/24', '10.4.1.0/24', false],
    ['10.0.0.0/8', '10.4.1.0/24', true],
    ['10.4.0.255/32', '10.4.0.0/24', true],
    ['10.4.0.1/24', '10.4.0.200/25', true],
    ['10.4.0.1/25', '10.4.0.200/25', false],
    ['0.0.0.0/0', '::/0', false],
    ['fd00::/48', 'fd00:0:0:5::/64', true],
    ['fd00:0:1::/48', 'fd00:0:0:5::/64', false],
  ];
  for (const [a, b, overlap] of pairs) {
    it(`${a} and ${b} ${overlap ? 'overlap' : 'do not overlap'}`, () => {
      assert.equal(overlaps(a, b), overlap);
      assert.equal(overlaps(b, a), overlap);
    });
  }

  it('contain addresses', () => {
    assert.equal(cidrContains('10.4.0.0/24', '10.4.0.0'), true);
    assert.equal(cidrContains('10.4.0.0/24', '10.4.0.255'), true);
    assert.equal(cidrContains('10.4.0.0/24', '10.4.1.0'), false);
    assert.equal(cidrContains('10.4.0.0/24', '::ffff:10.4.0.7'), true);
    assert.equal(cidrContains('fd00::/64', 'fd00::ffff:1:2:3'), true);
    assert.equal(cidrContains('fd00::/64', 'fd00:0:0:1::'), false);
    assert.equal(cidrContains('::/0', '10.4.0.1'), false);
    assert.equal(cidrContains('10.4.0.0/24', 'nonsense'), false);
  });

  it('have a first and a last address for hosts', () => {
    assert.deepEqual([firstHost('10.4.0.0/24'), lastHost('10.4.0.0/24')], ['10.4.0.1', '10.4.0.254']);
    assert.deepEqual([firstHost('10.4.0.4/30'), lastHost('10.4.0.4/30')], ['10.4.0.5', '10.4.0.6']);
    assert.deepEqual([firstHost('fd00::/64'), lastHost('fd00::/64')], ['fd00::1', 'fd00::ffff:ffff:ffff:ffff']);
    for (const text of ['10.4.0.0/31', '10.4.0.1/32', 'fd00::/127']) {
      refuses(() => firstHost(text), /is too small/);
      refuses(() => lastHost(text), /is too small/);
    }
  });
});

describe('the first free subnet', () => {
  it('is the base itself, unless that is used', () => {
    assert.equal(firstFreeSubnet(), '10.4.0.0/24');
    assert.equal(firstFreeSubnet('10.4.1.0/24'), '10.4.1.0/24');
    assert.equal(firstFreeSubnet('10.4.1.0/24', ['10.4.0.0/24', 'fd00::/8', '192.168.0.0/16']), '10.4.1.0/24');
  });

  it('is the next one that meets none of those in use', () => {
    assert.equal(firstFreeSubnet('10.4.0.0/24', ['10.4.0.1/24', '10.4.1.128/25', '10.4.3.0/24']), '10.4.2.0/24');
    assert.equal(firstFreeSubnet('10.4.0.0/24', ['10.4.0.0/16']), '10.5.0.0/24');
    assert.equal(firstFreeSubnet('10.4.0.0/24', ['10.4.0.7/32', '10.4.0.9/32']), '10.4.1.0/24');
    assert.equal(firstFreeSubnet('10.4.0.0/16', ['10.4.200.0/24', '10.5.0.0/16']), '10.6.0.0/16');
  });

  it('comes before the end of the private blocks, one after the other, or there is none', () => {
    const before = ['10.0.0.0/9', '10.128.0.0/10', '10.192.0.0/11', '10.224.0.0/12', '10.240.0.0/13', '10.248.0.0/14'];
    const most = [...before, '10.252.0.0/15', '10.254.0.0/16', '10.255.0.0/17', '10.255.128.0/18', '10.255.192.0/19'];
    const all = [
      ...most,
      '10.255.224.0/20',
      '10.255.240.0/21',
      '10.255.248.0/22',
      '10.255.252.0/23',
      '10.255.254.0/24',
    ];
    assert.equal(firstFreeSubnet('10.4.0.0/24', all), '10.255.255.0/24');
    for (const used of [[...all, '10.255.255.0/24'], ['10.0.0.0/8'], ['10.128.0.0/9', '10.4.0.0/9']]) {
      assert.equal(firstFreeSubnet('10.4.0.0/24', used), '172.16.0.0/24');
    }
    assert.equal(firstFreeSubnet('10.4.0.0/24', ['10.0.0.0/8', '172.16.0.0/16']), '172.17.0.0/24');
    assert.equal(firstFreeSubnet('10.4.0.0/24', ['10.0.0.0/8', '172.16.0.0/12', '192.168.0.7/32']), '192.168.1.0/24');
    // What is larger than a block is not searched there.
    refuses(() => firstFreeSubnet('10.0.0.0/12', ['10.0.0.0/8', '172.16.0.0/12']), /^could not find a free subnet/);
    for (const used of [['0.0.0.0/0'], ['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16']]) {
      refuses(() => firstFreeSubnet('10.4.0.0/24', used), /^could not find a free subnet from 10\.4\.0\.0\/24 on,/);
    }
  });

  it('is not searched elsewhere', () => {
    for (const base of ['193.168.0.0/24', '0.0.0.0/0', '10.0.0.0/7', 'fd00::/64']) {
      refuses(
        () => firstFreeSubnet(base),
        /^cannot search for a free subnet from .* on: it is not in a private block$/,
      );
    }
    refuses(() => firstFreeSubnet('10.4.0.1/24'), /did you mean/);
    refuses(() => firstFreeSubnet('10.4.0.0/24', ['nonsense']), /invalid subnet "nonsense"/);
  });
});

describe('the subnet of unique local IPv6 addresses', () => {
  it('is a /64 in fd00::/8, the same for the same seed only', () => {
    const subnets = ['bridge', 'net1', 'net2', ''].map(ulaSubnet);
    for (const subnet of subnets) {
      assert.equal(parseSubnet(subnet).prefix, 64);
      assert(overlaps('fd00::/8', subnet), subnet);
    }
    assert.equal(new Set(subnets).size, subnets.length);
    assert.equal(ulaSubnet('bridge'), ulaSubnet('bridge'));
  });
  it('is the one of earlier versions: networks keep their addresses', () => {
    // sha256 of "bridge" begins with 17f29b073143d8.
    assert.equal(ulaSubnet('bridge'), 'fd17:f29b:731:43d8::/64');
  });
});

describe('the addresses for containers', () => {
  const subnet = '10.4.1.0/24';
  const gateway = '10.4.1.1';
  const all = (options: Omit<Parameters<typeof ranges>[0], 'subnet' | 'gateway'>) =>
    ranges({ subnet, gateway, ...options }).map(({ rangeStart, rangeEnd }) => `${rangeStart} ${rangeEnd}`);

  it('are all of the subnet', () => {
    assert.deepEqual(all({ auxAddresses: [] }), ['10.4.1.1 10.4.1.254']);
    assert.deepEqual(ranges({ subnet: 'fd00::/64', gateway: 'fd00::1', auxAddresses: [] }), [
      { rangeStart: 'fd00::1', rangeEnd: 'fd00::ffff:ffff:ffff:ffff' },
    ]);
  });

  it('are those of the IP range', () => {
    assert.deepEqual(all({ ipRange: '10.4.1.0/25', auxAddresses: [] }), ['10.4.1.1 10.4.1.127']);
    assert.deepEqual(all({ ipRange: '10.4.1.64/26', auxAddresses: [] }), ['10.4.1.64 10.4.1.127']);
    assert.deepEqual(all({ ipRange: '10.4.1.128/25', auxAddresses: [] }), ['10.4.1.128 10.4.1.254']);
    assert.deepEqual(all({ ipRange: '10.4.1.9/32', auxAddresses: [] }), ['10.4.1.9 10.4.1.9']);
    assert.deepEqual(all({ ipRange: subnet, auxAddresses: [] }), ['10.4.1.1 10.4.1.254']);
  });

  it('are without those of other hosts', () => {
    assert.deepEqual(all({ auxAddresses: ['10.4.1.20', '10.4.1.5', '10.4.1.5', '10.4.1.6'] }), [
      '10.4.1.1 10.4.1.4',
      '10.4.1.7 10.4.1.19',
      '10.4.1.21 10.4.1.254',
    ]);
    assert.deepEqual(all({ auxAddresses: ['10.4.1.1', '10.4.1.254'] }), ['10.4.1.2 10.4.1.253']);
    assert.deepEqual(all({ ipRange: '10.4.1.8/30', auxAddresses: ['10.4.1.3', '10.4.1.9', '10.4.1.200'] }), [
      '10.4.1.8 10.4.1.8',
      '10.4.1.10 10.4.1.11',
    ]);
    assert.deepEqual(ranges({ subnet: 'fd00::/120', gateway: 'fd00::1', auxAddresses: ['fd00::8'] }), [
      { rangeStart: 'fd00::1', rangeEnd: 'fd00::7' },
      { rangeStart: 'fd00::9', rangeEnd: 'fd00::ff' },
    ]);
  });

  it('have to be some', () => {
    refuses(() => all({ ipRange: '10.4.1.9/32', auxAddresses: ['10.4.1.9'] }), /has no address left for containers/);
    refuses(() => all({ ipRange: '10.4.1.0/32', auxAddresses: [] }), /has no address left for containers/);
  });

  it('have to be of the subnet', () => {
    refuses(
      () => ranges({ subnet, gateway: '10.4.2.1', auxAddresses: [] }),
      /^the gateway 10\.4\.2\.1 is not in the subnet 10\.4\.1\.0\/24$/,
    );
    refuses(() => ranges({ subnet, gateway: 'x', auxAddresses: [] }), /^the gateway "x" is not an IP address$/);
    refuses(() => all({ auxAddresses: ['fd00::1'] }), /^the auxiliary address fd00::1 is not in the subnet/);
    for (const ipRange of ['10.4.2.0/25', '10.4.0.0/23', 'fd00::/120']) {
      refuses(() => all({ ipRange, auxAddresses: [] }), /^the IP range .* is not within the subnet 10\.4\.1\.0\/24$/);
    }
    refuses(() => all({ ipRange: '10.4.1.3/25', auxAddresses: [] }), /did you mean 10\.4\.1\.0\/25\?$/);
    refuses(() => ranges({ subnet: '10.4.1.0/31', gateway: '10.4.1.1', auxAddresses: [] }), /too small/);
  });
});
