import assert from 'node:assert/strict';
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { Ipam, IpamError, type ReserveOptions } from '../../../../../../child/container/network/ipam/ipam.js';
import { SubnetError } from '../../../../../../child/container/network/ipam/subnets.js';
import { native } from '../../../../../../native/index.js';
import type { IpamRange } from '../../../../../../protocol/net/host-local.js';
import { tempDir } from '../../../../../support/index.js';

const ipv4: IpamRange = { subnet: '10.4.1.0/24' };
const ipv6: IpamRange = { subnet: 'fd00:1::/64' };

/** A directory of its own, and shorthands for one network in it. */
function setup(rangeSets: IpamRange[][] = [[ipv4]]) {
  const ipam = new Ipam(join(tempDir(), 'networks'));
  const path = join(ipam.dataDir, 'net1');
  return {
    ipam,
    /** Where the network's files are. */
    path,
    file: (name: string) => readFileSync(join(path, name), 'utf8'),
    /** Puts a file there, as another process would. */
    put: (name: string, text: string) => {
      mkdirSync(path, { recursive: true });
      writeFileSync(join(path, name), text);
    },
    reserve: async (containerId: string, more: Partial<ReserveOptions> = {}): Promise<string> => {
      const got = await ipam.reserve({ network: 'net1', containerId, ifname: 'eth0', rangeSets, ...more });
      return got.map(({ address }) => address).join(' ');
    },
    list: async () => (await ipam.list('net1')).map(({ ip, containerId, ifname }) => `${ip} ${containerId} ${ifname}`),
  };
}

async function refuses(promise: Promise<unknown>, message: RegExp): Promise<void> {
  await assert.rejects(promise, (error: Error) => {
    assert(error instanceof IpamError, `threw ${String(error)}`);
    assert.match(error.message, message);
    assert.doesNotMatch(error.message, /\n/, 'the message is one line');
    return true;
  });
}

describe('IPAM', () => {
  it('gives an address of each range set, with the gateway', async () => {
    const { ipam, list } = setup();
    const rangeSets = [[{ ...ipv4, gateway: '10.4.1.3' }], [ipv6]];
    assert.deepEqual(await ipam.reserve({ network: 'net1', containerId: 'a', ifname: 'eth0', rangeSets }), [
      { address: '10.4.1.1/24', gateway: '10.4.1.3' },
      { address: 'fd00:1::2/64', gateway: 'fd00:1::1' },
    ]);
    assert.deepEqual(await list(), ['10.4.1.1 a eth0', 'fd00:1::2 a eth0']);
    assert.deepEqual(await ipam.reserve({ network: 'net1', containerId: 'a', ifname: 'eth0', rangeSets: [] }), []);
  });

  it('keeps files as host-local does, for the user alone, and nothing else', async () => {
    const { reserve, path, file } = setup([[ipv4], [ipv6]]);
    await reserve('a-1');
    assert.deepEqual(
      readdirSync(path).sort(),
      ['10.4.1.2', 'fd00:1::2', 'last_reserved_ip.0', 'last_reserved_ip.1', 'lock'].sort(),
    );
    assert.equal(file('10.4.1.2'), 'a-1\r\neth0');
    assert.equal(file('fd00:1::2'), 'a-1\r\neth0');
    assert.equal(file('last_reserved_ip.0'), '10.4.1.2');
    assert.equal(file('last_reserved_ip.1'), 'fd00:1::2');
    assert.equal(statSync(path).mode & 0o777, 0o700);
    for (const name of readdirSync(path)) assert.equal(statSync(join(path, name)).mode & 0o777, 0o600, name);
  });

  it('gives an interface what it has, and each interface and network its own', async () => {
    const { ipam, reserve } = setup([[ipv4], [ipv6]]);
    assert.equal(await reserve('a'), '10.4.1.2/24 fd00:1::2/64');
    for (let i = 0; i < 3; i++) assert.equal(await reserve('a'), '10.4.1.2/24 fd00:1::2/64');
    assert.equal(await reserve('a', { ifname: 'eth1' }), '10.4.1.3/24 fd00:1::3/64');
    assert.equal(await reserve('ab'), '10.4.1.4/24 fd00:1::4/64');
    assert.equal(await reserve('ab', { network: 'net2' }), '10.4.1.2/24 fd00:1::2/64');
    assert.equal((await ipam.list('net1')).length, 6);
  });

  it('completes what an interface has of some sets only', async () => {
    const { reserve } = setup();
    assert.equal(await reserve('a'), '10.4.1.2/24');
    assert.equal(await reserve('a', { rangeSets: [[ipv4], [ipv6]] }), '10.4.1.2/24 fd00:1::2/64');
  });

  it('gives another address if the one that an interface has is not for containers any more', async () => {
    const { reserve } = setup();
    assert.equal(await reserve('a'), '10.4.1.2/24');
    assert.equal(await reserve('a', { rangeSets: [[{ ...ipv4, gateway: '10.4.1.2' }]] }), '10.4.1.3/24');
    assert.equal(await reserve('b', { rangeSets: [[{ ...ipv4, rangeStart: '10.4.1.9' }]] }), '10.4.1.9/24');
  });

  it('gives released addresses last', async () => {
    const set = [{ ...ipv4, rangeStart: '10.4.1.1', rangeEnd: '10.4.1.4' }];
    const { ipam, reserve } = setup([set]);
    assert.equal(await reserve('a'), '10.4.1.2/24');
    await ipam.release('net1', 'a');
    assert.equal(await reserve('b'), '10.4.1.3/24');
    assert.equal(await reserve('c'), '10.4.1.4/24');
    await ipam.release('net1', 'b');
    assert.equal(await reserve('d'), '10.4.1.2/24');
    assert.equal(await reserve('e'), '10.4.1.3/24');
    await refuses(
      reserve('f'),
      /^no IP addresses available in 10\.4\.1\.1-10\.4\.1\.4 of network net1; remove containers, or/,
    );
    await ipam.release('net1', 'e');
    assert.equal(await reserve('f'), '10.4.1.3/24', 'the one that was reserved last can be had again');
  });

  it('goes through all ranges of a set', async () => {
    const set = [
      { ...ipv4, rangeEnd: '10.4.1.3' },
      { ...ipv4, rangeStart: '10.4.1.6', rangeEnd: '10.4.1.6' },
      { subnet: '10.4.2.0/30' },
    ];
    const { ipam, reserve } = setup([set]);
    const all = ['10.4.1.2/24', '10.4.1.3/24', '10.4.1.6/24', '10.4.2.2/30'];
    for (const [index, address] of all.entries()) assert.equal(await reserve(`c${index}`), address);
    for (const [index, address] of all.entries()) {
      await refuses(
        reserve('more'),
        /^no IP addresses available in 10\.4\.1\.1-10\.4\.1\.3, 10\.4\.1\.6-10\.4\.1\.6, /,
      );
      await ipam.release('net1', `c${index}`);
      assert.equal(await reserve(`d${index}`), address, 'and from each on');
    }
  });

  it('gives neither network nor broadcast address, even of a range that has them', async () => {
    const { reserve } = setup([[{ subnet: '10.4.1.0/30', rangeStart: '10.4.1.0', rangeEnd: '10.4.1.3' }]]);
    assert.equal(await reserve('a'), '10.4.1.2/30');
    await refuses(reserve('b'), /^no IP addresses available/);
  });

  it('begins again if the last address is of other ranges, or invalid', async () => {
    for (const last of ['10.9.9.9', 'fd00::1', 'nonsense', '']) {
      const { reserve, put } = setup();
      put('last_reserved_ip.0', last);
      assert.equal(await reserve('a'), '10.4.1.2/24');
    }
    const { reserve, put } = setup();
    put('last_reserved_ip.0', '10.4.1.77\n');
    assert.equal(await reserve('a'), '10.4.1.78/24');
  });

  it('gives an address once where range sets overlap', async () => {
    const { reserve } = setup([[ipv4], [ipv4]]);
    assert.equal(await reserve('a'), '10.4.1.2/24 10.4.1.3/24');
  });

  it('reserves nothing if one set has no address', async () => {
    const small = { ...ipv6, rangeEnd: 'fd00:1::2' };
    const { reserve, list, path } = setup([[ipv4], [small]]);
    await reserve('a');
    await refuses(reserve('b'), /^no IP addresses available in fd00:1::1-fd00:1::2 of network net1/);
    await refuses(reserve('c', { requested: ['10.4.1.9', 'fd00:1::2'] }), /container a has it/);
    assert.deepEqual(await list(), ['10.4.1.2 a eth0', 'fd00:1::2 a eth0']);
    assert.equal(readFileSync(join(path, 'last_reserved_ip.0'), 'utf8'), '10.4.1.2');
  });

  it('releases what it reserved if it cannot write the rest', async () => {
    const { reserve, list, path } = setup([[ipv4], [ipv6]]);
    mkdirSync(join(path, 'last_reserved_ip.1'), { recursive: true });
    await refuses(reserve('a'), /^cannot use the reserved addresses of network net1: EISDIR/);
    rmSync(join(path, 'last_reserved_ip.1'), { recursive: true });
    mkdirSync(join(path, '.unfinished'));
    await refuses(reserve('a'), /^cannot use the reserved addresses of network net1: .*\.unfinished/);
    assert.deepEqual(await list(), []);
  });

  describe('with requested addresses', () => {
    it('gives them, in any order and writing', async () => {
      const { reserve, file } = setup([[ipv4], [ipv6]]);
      assert.equal(await reserve('a', { requested: ['FD00:1:0::0:77', '10.4.1.9'] }), '10.4.1.9/24 fd00:1::77/64');
      assert.equal(file('fd00:1::77'), 'a\r\neth0');
      assert.equal(await reserve('b', { requested: ['fd00:1::1:0'] }), '10.4.1.10/24 fd00:1::1:0/64');
      assert.equal(await reserve('c', { requested: ['10.4.1.99', '10.4.1.99'] }), '10.4.1.99/24 fd00:1::1:1/64');
    });

    it('gives them again, and also unasked', async () => {
      const { reserve, list } = setup();
      assert.equal(await reserve('a', { requested: ['10.4.1.9'] }), '10.4.1.9/24');
      assert.equal(await reserve('a', { requested: ['10.4.1.9'] }), '10.4.1.9/24');
      assert.equal(await reserve('a'), '10.4.1.9/24');
      assert.deepEqual(await list(), ['10.4.1.9 a eth0']);
    });

    it('refuses another one than the interface has', async () => {
      const { reserve, list } = setup();
      await reserve('a');
      await refuses(
        reserve('a', { requested: ['10.4.1.9'] }),
        /^requested IP address 10\.4\.1\.9 cannot be assigned: eth0 of container a has 10\.4\.1\.2 in network net1, release/,
      );
      assert.deepEqual(await list(), ['10.4.1.2 a eth0']);
      assert.equal(await reserve('a', { ifname: 'eth1', requested: ['10.4.1.9'] }), '10.4.1.9/24');
    });

    it('refuses one that another client has', async () => {
      const { reserve } = setup();
      await reserve('a');
      const expected =
        /^requested IP address 10\.4\.1\.2 is not available in network net1: container a has it, choose another$/;
      await refuses(reserve('b', { requested: ['10.4.1.2'] }), expected);
      await refuses(reserve('a', { ifname: 'eth1', requested: ['10.4.1.2'] }), expected);
    });

    const set = [
      { ...ipv4, rangeStart: '10.4.1.0', rangeEnd: '10.4.1.99' },
      { ...ipv4, rangeStart: '10.4.1.200', rangeEnd: '10.4.1.255' },
    ];
    const impossible: [ip: string, message: RegExp][] = [
      ['10.4.1.1', /10\.4\.1\.1 is the gateway of network net1, choose another$/],
      ['10.4.1.0', /10\.4\.1\.0 is the network address of 10\.4\.1\.0\/24, choose another$/],
      ['10.4.1.255', /10\.4\.1\.255 is the broadcast address of 10\.4\.1\.0\/24, choose another$/],
      ['fd00:1::1', /fd00:1::1 is the gateway of network net1/],
      ['fd00:1::', /fd00:1:: is the network address of fd00:1::\/64/],
      [
        '10.4.1.100',
        /10\.4\.1\.100 is not for containers of network net1, which get 10\.4\.1\.0-10\.4\.1\.99, 10\.4\.1\.200-/,
      ],
      ['10.4.2.9', /10\.4\.2\.9 is not in network net1, which has 10\.4\.1\.0-10\.4\.1\.99, 10\.4\.1\.200-/],
      ['fd00:2::9', /fd00:2::9 is not in network net1/],
      ['10.4.1', /"10\.4\.1" is not an IP address$/],
      ['10.4.1.7/24', /"10\.4\.1\.7\/24" is not an IP address$/],
    ];
    for (const [ip, message] of impossible) {
      it(`refuses ${ip}`, async () => {
        const { reserve, path } = setup([set, [ipv6]]);
        await refuses(reserve('a', { requested: [ip] }), message);
        assert.equal(existsSync(path), false, 'nothing is written');
      });
    }

    it('takes addresses from all ranges of a set, and one only', async () => {
      const { reserve } = setup([set]);
      assert.equal(await reserve('a', { requested: ['10.4.1.201'] }), '10.4.1.201/24');
      await refuses(
        reserve('b', { requested: ['10.4.1.7', '10.4.1.202'] }),
        /10\.4\.1\.7 and 10\.4\.1\.202 are of the/,
      );
    });
  });

  describe('releases', () => {
    it('an interface, or all of a container, as often as it is asked', async () => {
      const { ipam, reserve, list } = setup([[ipv4], [ipv6]]);
      for (const ifname of ['eth0', 'eth1']) await reserve('a', { ifname });
      await reserve('ab');
      assert.deepEqual(await ipam.release('net1', 'a', 'eth1'), ['10.4.1.3', 'fd00:1::3']);
      assert.deepEqual(await ipam.release('net1', 'a', 'eth1'), []);
      assert.deepEqual(await ipam.release('net1', 'a', 'eth9'), []);
      assert.deepEqual(await list(), ['10.4.1.2 a eth0', '10.4.1.4 ab eth0', 'fd00:1::2 a eth0', 'fd00:1::4 ab eth0']);
      await reserve('a', { ifname: 'eth1' });
      assert.deepEqual(await ipam.release('net1', 'a'), ['10.4.1.2', '10.4.1.5', 'fd00:1::2', 'fd00:1::5']);
      assert.deepEqual(await list(), ['10.4.1.4 ab eth0', 'fd00:1::4 ab eth0']);
    });

    it('nothing of networks that are not known, and makes no directory for them', async () => {
      const { ipam } = setup();
      assert.deepEqual(await ipam.release('net1', 'a'), []);
      assert.deepEqual(await ipam.list('net1'), []);
      assert.deepEqual(await ipam.networks(), []);
      assert.equal(existsSync(ipam.dataDir), false);
    });
  });

  it('lists the networks', async () => {
    const { ipam, reserve } = setup();
    for (const network of ['net2', 'net1', 'Bridge']) await reserve('a', { network });
    writeFileSync(join(ipam.dataDir, 'file'), '');
    mkdirSync(join(ipam.dataDir, '.hidden'));
    assert.deepEqual(await ipam.networks(), ['Bridge', 'net1', 'net2']);
  });

  describe('finds what other processes left', () => {
    it('files without content, which crashes leave: their addresses are free', async () => {
      for (const text of ['', '\n', '\0\0\0\0']) {
        const { ipam, reserve, put, file, list } = setup();
        put('10.4.1.2', text);
        put('10.4.1.9', text);
        assert.deepEqual(await list(), []);
        assert.equal(await reserve('a'), '10.4.1.2/24');
        assert.equal(file('10.4.1.2'), 'a\r\neth0');
        assert.equal(await reserve('b', { requested: ['10.4.1.9'] }), '10.4.1.9/24');
        assert.deepEqual(await ipam.release('net1', 'b'), ['10.4.1.9']);
      }
    });

    it('its own unfinished file', async () => {
      const { reserve, put, path, list } = setup();
      put('.unfinished', 'a\r\neth0');
      assert.deepEqual(await list(), []);
      assert.equal(await reserve('b'), '10.4.1.2/24');
      assert.equal(existsSync(join(path, '.unfinished')), false);
    });

    it('files of containers without interface, as old versions of host-local wrote them', async () => {
      const { ipam, reserve, put, list } = setup();
      put('10.4.1.7', 'a');
      put('10.4.1.2', 'b\n');
      assert.deepEqual(await list(), ['10.4.1.2 b ', '10.4.1.7 a ']);
      assert.equal(await reserve('a'), '10.4.1.7/24');
      assert.equal(await reserve('c'), '10.4.1.3/24');
      assert.deepEqual(await ipam.release('net1', 'b', 'eth0'), ['10.4.1.2']);
    });

    it('IPv6 addresses in another writing', async () => {
      const { ipam, reserve, put } = setup([[ipv6]]);
      put('FD00:1:0:0::2', 'a\r\neth0');
      assert.equal(await reserve('b'), 'fd00:1::3/64');
      assert.equal(await reserve('a'), 'fd00:1::2/64');
      assert.deepEqual(await ipam.release('net1', 'a'), ['fd00:1::2']);
      assert.deepEqual(await ipam.list('net1'), [{ ip: 'fd00:1::3', containerId: 'b', ifname: 'eth0' }]);
    });

    it('files that are not reservations', async () => {
      const { reserve, put, list, file } = setup();
      put('notes', 'a\r\neth0');
      put('10.4.1.2.bak', 'a\r\neth0');
      assert.equal(await reserve('a'), '10.4.1.2/24');
      assert.deepEqual(await list(), ['10.4.1.2 a eth0']);
      assert.equal(file('notes'), 'a\r\neth0');
    });
  });

  it('gives many at once an address each', async () => {
    const { reserve, list } = setup([[ipv4], [ipv6]]);
    const got = await Promise.all(Array.from({ length: 100 }, (_, index) => reserve(`c${index}`)));
    assert.equal(new Set(got).size, 100);
    assert.equal((await list()).length, 200);
  });

  it('waits for the lock, and not for ever', async () => {
    const { ipam, reserve, list, path } = setup();
    await reserve('a');
    const fd = openSync(join(path, 'lock'), 'r');
    assert(native().flock(fd, true));
    const reserved = reserve('b');
    try {
      await refuses(
        new Ipam(ipam.dataDir, { lockTimeout: 50 }).release('net1', 'a'),
        /^the reserved addresses of network net1 have been locked for more than 0\.05 s; hint: fuser \/.*\/lock shows the holder of the lock$/,
      );
      assert.deepEqual(await list(), ['10.4.1.2 a eth0'], 'to list needs no lock');
    } finally {
      closeSync(fd);
    }
    assert.equal(await reserved, '10.4.1.3/24');
  });

  it('refuses invalid names', async () => {
    const { ipam, reserve } = setup();
    for (const network of ['', '..', '../net1', 'a/b', '.hidden', 'a\nb']) {
      await refuses(reserve('a', { network }), /^invalid network name ".*"; it must match/);
      await refuses(ipam.list(network), /^invalid network name/);
      await refuses(ipam.release(network, 'a'), /^invalid network name/);
    }
    for (const id of ['', 'a\r\neth0', '-a', 'a b']) await refuses(reserve(id), /^invalid container ID/);
    for (const ifname of ['', '.', '..', 'a/b', 'a b', 'a:b', 'x'.repeat(16), 'a\n']) {
      await refuses(reserve('a', { ifname }), /^invalid interface name/);
    }
    assert.equal(existsSync(ipam.dataDir), false);
  });

  it('refuses ranges that make no sense', async () => {
    const wrong: [range: IpamRange, message: RegExp][] = [
      [{ subnet: '10.4.1.1/24' }, /did you mean 10\.4\.1\.0\/24\?/],
      [{ subnet: '10.4.1.0/31' }, /too small/],
      [{ ...ipv4, gateway: '10.4.2.1' }, /the gateway 10\.4\.2\.1 is not in the subnet 10\.4\.1\.0\/24/],
      [{ ...ipv4, rangeStart: 'fd00::1' }, /the start of the range fd00::1 is not in/],
      [{ ...ipv4, rangeEnd: 'x' }, /the end of the range "x" is not an IP address/],
      [{ ...ipv4, rangeStart: '10.4.1.9', rangeEnd: '10.4.1.8' }, /from 10\.4\.1\.9 to 10\.4\.1\.8 is reversed/],
    ];
    for (const [range, message] of wrong) {
      await assert.rejects(
        setup([[range]]).reserve('a'),
        (error: Error) => error instanceof SubnetError && message.test(error.message),
      );
    }
  });
});
