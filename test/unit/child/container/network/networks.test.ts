import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ContainerError, NoSuchNetworkError } from '../../../../../child/container/errors.js';
import { SubnetError } from '../../../../../child/container/network/ipam/subnets.js';
import {
  bridgeDevice,
  isInternal,
  type Network,
  networkOf,
  subnetsOf,
} from '../../../../../child/container/network/network.js';
import { NetworkRegistry } from '../../../../../child/container/network/registry.js';
import { parseNetworkRequest } from '../../../../../protocol/containers/schemas.js';
import { hostLocalRangeSets } from '../../../../../protocol/net/host-local.js';
import { tempDir } from '../../../../support/index.js';

function setup() {
  const confDir = join(tempDir(), 'net.d');
  const warnings: string[] = [];
  const networks = new NetworkRegistry({ confDir, ipamDir: '/addresses', warn: (line) => warnings.push(line) });
  const put = (file: string, list: unknown) => {
    mkdirSync(join(confDir, 'default'), { recursive: true });
    writeFileSync(join(confDir, file), typeof list === 'string' ? list : JSON.stringify(list));
  };
  const create = (name: string, request: Record<string, unknown> = {}) =>
    networks.create(parseNetworkRequest({ name, ...request }));
  return { confDir, warnings, networks, put, create };
}

/** An external list with that first plugin. */
const listOf = (name: string, plugin: Record<string, unknown>, more: Record<string, unknown> = {}) => ({
  cniVersion: '1.0.0',
  name,
  ...more,
  plugins: [{ type: 'bridge', ...plugin }],
});
const local = (subnet: unknown) => ({ ipam: { type: 'host-local', subnet } });
const subnets = (network: Network) => subnetsOf(network).map(({ subnet }) => subnet);

describe('an own network', () => {
  it('is a list that every CNI runtime can use, and that we know again', async () => {
    const { confDir, networks, create } = setup();
    const made = await create('net1', {
      subnets: ['10.98.1.0/24'],
      ipRanges: ['10.98.1.128/25'],
      auxAddresses: ['printer=10.98.1.130'],
      labels: { a: 'b' },
      options: { mtu: '1400' },
    });
    assert.deepEqual(readdirSync(confDir), ['rootless-net-net1.conflist']);
    const list = JSON.parse(readFileSync(made.file, 'utf8'));
    assert.deepEqual([list.cniVersion, list.name], ['1.0.0', 'net1']);
    const [bridge, ...others] = list.plugins;
    assert.deepEqual(bridge, {
      type: 'bridge',
      bridge: bridgeDevice('net1'),
      isGateway: true,
      ipMasq: true,
      hairpinMode: true,
      mtu: 1400,
      ipam: {
        type: 'host-local',
        dataDir: '/addresses',
        ranges: [
          [
            { subnet: '10.98.1.0/24', rangeStart: '10.98.1.128', rangeEnd: '10.98.1.129', gateway: '10.98.1.1' },
            { subnet: '10.98.1.0/24', rangeStart: '10.98.1.131', rangeEnd: '10.98.1.254', gateway: '10.98.1.1' },
          ],
        ],
        routes: [{ dst: '0.0.0.0/0' }],
      },
      capabilities: { ips: true },
    });
    assert.deepEqual(
      others.map(({ type }: { type: string }) => type),
      ['portmap', 'firewall', 'tuning'],
    );

    const [found] = await networks.list();
    assert.deepEqual(found, made);
    assert.deepEqual([found?.own, found?.driver, found?.labels], [true, 'bridge', { a: 'b' }]);
    assert.deepEqual(
      { ...found?.bridge, rangeSets: undefined },
      { device: bridgeDevice('net1'), mtu: 1400, internal: false, icc: true, rangeSets: undefined },
    );
    await networks.remove(made);
    assert.deepEqual([await networks.list(), readdirSync(confDir)], [[], []]);
  });

  it('can be without a route to the outside, and without one between its containers', async () => {
    const { create } = setup();
    const { list, bridge } = await create('inner', { internal: true, icc: false });
    assert.deepEqual([bridge?.internal, bridge?.icc], [true, false]);
    const [first, ...others] = list.plugins;
    assert.deepEqual([first?.isGateway, first?.ipMasq, first?.ipam?.routes], [false, false, undefined]);
    assert.deepEqual(
      others.map(({ type, ingressPolicy }) => [type, ingressPolicy]),
      [
        ['firewall', 'isolated'],
        ['tuning', undefined],
      ],
    );
  });

  it('is found by name, id, and the beginning of that', async () => {
    const { networks, create, put } = setup();
    const { id } = await create('one', { subnets: ['10.98.1.0/24'] });
    // A name that looks like the beginning of the other's id comes first.
    put('named.conflist', listOf(id.slice(0, 12), {}));
    const find = async (text: string) => (await networks.find(text)).name;
    assert.deepEqual(
      [await find('one'), await find(id), await find(id.slice(0, 3)), await find(id.slice(0, 12))],
      ['one', 'one', 'one', id.slice(0, 12)],
    );
    for (const text of ['', 'on', id.slice(0, 2), `${id}0`]) {
      await assert.rejects(networks.find(text), NoSuchNetworkError);
    }
  });

  it('has a bridge whose name the kernel takes', () => {
    assert.equal(bridgeDevice('bridge'), 'rootless0');
    const names = ['a', 'b', 'x'.repeat(128)].map(bridgeDevice);
    for (const name of names) assert.match(name, /^rn-[0-9a-f]{12}$/);
    assert.equal(new Set(names).size, 3);
  });

  it('is made once where several need the default one, unless it exists already', async () => {
    const { confDir, networks } = setup();
    const made = await Promise.all([networks.default(), networks.default()]);
    assert.deepEqual(made[0], made[1]);
    assert.equal(made[0]?.own, true);
    assert.equal(readdirSync(confDir).length, 1);

    const other = setup();
    other.put('nerdctl-bridge.conflist', listOf('bridge', local('10.98.9.0/24')));
    assert.equal((await other.networks.default()).own, false);
  });

  it('is skipped, and reported once with its file, if that is invalid', async () => {
    const { confDir, networks, put, warnings } = setup();
    put('a.conflist', '{');
    put('b.conflist', listOf('b', {}));
    for (const _time of [1, 2]) assert.equal((await networks.list()).length, 1);
    assert.equal(warnings.length, 1);
    assert(warnings[0]?.startsWith(`skipping ${join(confDir, 'a.conflist')}: `), warnings[0]);
  });

  const refused: [request: Record<string, unknown>, what: RegExp][] = [
    [{ name: 'host' }, /^invalid network name host: it is reserved/],
    [{ name: 'default' }, /^invalid network name default: it is reserved/],
    [{ name: 'none' }, /^invalid network name none: it is reserved/],
    [{ name: 'taken' }, /^network with name taken already exists/],
    [{ driver: 'weave' }, /^unsupported network driver "weave"; choose bridge or macvlan$/],
    [
      { driver: 'overlay' },
      /^overlay networks are created by a command of their own, since their hosts have to agree on them$/,
    ],
    [{ options: { parent: 'eth0' } }, /^unsupported bridge network option "parent"; supported are mtu$/],
    [{ driver: 'macvlan', options: { mode: 'x' } }, /^unknown macvlan mode "x"; choose one of bridge, vepa/],
    [
      { driver: 'macvlan', options: { parent: 'eth0 up' } },
      /^invalid macvlan parent "eth0 up": expected the name of a/,
    ],
    [{ driver: 'macvlan', options: { parent: '../x' } }, /^invalid macvlan parent "\.\.\/x"/],
    [{ driver: 'macvlan', options: { parent: 'sixteencharacter' } }, /^invalid macvlan parent/],
    [
      { subnets: ['127.0.0.0/8'] },
      /^invalid subnet 127\.0\.0\.0\/8: 127\.0\.0\.0\/8 is for loopback; hint: use a private/,
    ],
    [{ subnets: ['127.1.2.0/24'] }, /^invalid subnet 127\.1\.2\.0\/24: 127\.0\.0\.0\/8 is for loopback/],
    [{ subnets: ['224.0.0.0/24'] }, /^invalid subnet 224\.0\.0\.0\/24: 224\.0\.0\.0\/4 is for multicast/],
    [{ subnets: ['0.0.0.0/0'] }, /^invalid subnet 0\.0\.0\.0\/0/],
    [{ subnets: ['169.254.9.0/24'] }, /^invalid subnet .* is for link-local addresses/],
    [{ subnets: ['255.255.255.0/24'] }, /^invalid subnet .* is reserved/],
    [{ subnets: ['fe80::/64'] }, /^invalid subnet fe80::\/64: fe80::\/10 is for link-local addresses/],
    [{ subnets: ['ff05::/64'] }, /^invalid subnet .* is for multicast/],
    [{ subnets: ['::/64'] }, /^invalid subnet ::\/64/],
    [
      { driver: 'macvlan', ipamDriver: 'static', subnets: ['127.0.0.0/24'] },
      /^invalid subnet 127\.0\.0\.0\/24: 127\.0\.0\.0\/8 is for loopback/,
    ],
    [{ ipamDriver: 'own' }, /^unsupported IPAM driver "own"; choose one of default, host-local, dhcp, static$/],
    [{ ipamDriver: 'dhcp' }, /^the network driver bridge requires the IPAM driver host-local, not dhcp$/],
    [
      { driver: 'macvlan', ipamDriver: 'dhcp', subnets: ['10.98.1.0/24'] },
      /^the IPAM driver dhcp does not use subnets/,
    ],
    [{ driver: 'macvlan', ipamDriver: 'static' }, /^the IPAM driver static needs --subnet/],
    [
      { driver: 'macvlan', ipamDriver: 'static', subnets: ['10.98.1.0/24'], gateways: ['10.98.2.1'] },
      /^no matching subnet for gateway 10\.98\.2\.1; the network has 10\.98\.1\.0\/24$/,
    ],
    [
      { driver: 'macvlan', ipamDriver: 'static', subnets: ['10.98.1.0/24'], ipRanges: ['10.98.1.0/25'] },
      /^the IPAM driver static assigns no addresses/,
    ],
    [{ options: { mtu: 'big' } }, /^invalid mtu big: expected a number from 68 to 65535$/],
    [{ options: { mtu: '67' } }, /^invalid mtu 67: expected a number from/],
    [{ subnets: ['10.98.1.0'] }, /10\.98\.1\.0/],
    [{ subnets: ['10.98.1.7/24'] }, /^unexpected subnet 10\.98\.1\.7\/24, did you mean 10\.98\.1\.0\/24\?$/],
    [{ subnets: ['10.98.1.0/24', '10.98.2.0/24'] }, /^a network has one subnet of each family/],
    [
      { subnets: ['10.97.0.0/16'] },
      /^10\.97\.0\.0\/16 overlaps the subnet 10\.97\.1\.0\/24 of the network taken; hint: choose another --subnet$/,
    ],
    [{ gateways: ['10.98.1.1'] }, /^no matching subnet for gateway 10\.98\.1\.1; the network has /],
    [{ ipRanges: ['10.98.1.0/25'] }, /^no matching subnet for ip-range 10\.98\.1\.1; the network has /],
    [{ auxAddresses: ['a=10.98.1.9'] }, /^no matching subnet for aux-address 10\.98\.1\.9; the network has /],
  ];
  for (const [request, what] of refused) {
    it(`is refused: ${JSON.stringify(request)}`, async () => {
      const { confDir, create, put } = setup();
      put('taken.conflist', listOf('taken', local('10.97.1.0/24')));
      const { name = 'net1', ...rest } = request;
      await assert.rejects(create(String(name), rest), (error: Error) => {
        assert(error instanceof ContainerError || error instanceof SubnetError, String(error));
        assert.match(error.message, what);
        assert.doesNotMatch(error.message, /\n/);
        return true;
      });
      assert.deepEqual(readdirSync(confDir).sort(), ['default', 'taken.conflist']);
    });
  }
});

describe('subnets of new networks', () => {
  it('are the next free ones', async () => {
    const { create, put } = setup();
    // One inside the range that is searched, larger than the block that is searched for.
    put('10-other.conflist', listOf('other', local('10.4.2.0/23')));
    const found = [await create('a'), await create('b'), await create('c')].map((network) => subnets(network)[0]);
    const [first = '', second = '', third = ''] = found;
    assert.equal(new Set(found).size, 3);
    for (const subnet of [first, second, third]) assert.match(subnet, /^10\.4\.(1|[4-9]|\d\d)\.0\/24$/);
  });

  it('are of both families if that is requested', async () => {
    const { create } = setup();
    const [v4 = '', v6 = ''] = subnets(await create('six', { ipv6: true }));
    assert.match(v4, /^10\.4\.\d+\.0\/24$/);
    assert.match(v6, /^fd[0-9a-f:]+\/64$/);
    const given = await create('given', { subnets: ['fd00:9::/64'], gateways: ['fd00:9::00ff'] });
    assert.deepEqual(subnetsOf(given)[1], { subnet: 'fd00:9::/64', gateway: 'fd00:9::ff' });
    assert.deepEqual(
      given.list.plugins[0]?.ipam?.routes,
      [{ dst: '0.0.0.0/0' }, { dst: '::/0' }],
      'a default route of each family',
    );
  });

  it('are those of addresses that we give, for macvlan as for bridges', async () => {
    const { create } = setup();
    const options = { parent: 'eth0', mode: 'vepa', mtu: '1400' };
    const made = await create('lan', { driver: 'macvlan', subnets: ['10.98.1.0/24'], options });
    assert.deepEqual([subnets(made), made.bridge, made.driver], [['10.98.1.0/24'], undefined, 'macvlan']);
    const [{ ipam, ...plugin } = { type: '' }, ...others] = made.list.plugins;
    assert.deepEqual(plugin, {
      type: 'macvlan',
      master: 'eth0',
      mode: 'vepa',
      mtu: 1400,
      capabilities: { ips: true },
    });
    assert.deepEqual([ipam?.type, ipam?.dataDir, others], ['host-local', '/addresses', []]);
  });

  it('are those that containers ask for with static IPAM', async () => {
    const { create } = setup();
    const made = await create('fixed', {
      driver: 'macvlan',
      ipamDriver: 'static',
      subnets: ['10.98.1.0/24', 'fd00:9::/64'],
    });
    assert.deepEqual(subnetsOf(made), [
      { subnet: '10.98.1.0/24', gateway: '10.98.1.1' },
      { subnet: 'fd00:9::/64', gateway: 'fd00:9::1' },
    ]);
    assert.deepEqual(made.list.plugins[0]?.ipam, {
      type: 'static',
      routes: [
        { dst: '0.0.0.0/0', gw: '10.98.1.1' },
        { dst: '::/0', gw: 'fd00:9::1' },
      ],
    });
  });

  it('are found in spite of invalid ranges of other networks', async () => {
    const { networks, create, put } = setup();
    const ranges = [
      null,
      'x',
      [],
      [null],
      [{}],
      [{ subnet: 7 }],
      [{ subnet: '10.4.1.0' }],
      [{ subnet: '10.4.1.0/24' }],
    ];
    put('a.conflist', listOf('a', { ipam: { type: 'host-local', ranges } }));
    put('b.conflist', listOf('b', { ipam: { type: 'host-local', ranges: 'all' } }));
    put('c.conflist', listOf('c', local(null)));
    put('d.conflist', listOf('d', { ipam: { type: 'static', addresses: 'x', routes: [null] } }));
    assert.deepEqual((await networks.list()).map(subnets), [['10.4.1.0/24'], [], [], []]);
    assert.notDeepEqual(subnets(await create('net1')), ['10.4.1.0/24']);
  });
});

describe('an external network', () => {
  it('is shown with its labels and subnets, attached to by plugins, and not removed', async () => {
    const { confDir, networks, put } = setup();
    put('nerdctl-a.conflist', listOf('a', local('10.98.1.0/24'), { nerdctlLabels: { k: 'v' } }));
    put('default/nerdctl-b.conflist', listOf('b', {}));
    const [a, b] = await networks.list();
    assert.deepEqual([a?.own, a?.bridge, a?.labels, b?.labels], [false, undefined, { k: 'v' }, {}]);
    assert.equal(b?.file, join(confDir, 'default', 'nerdctl-b.conflist'));
    assert(a && b);
    assert.deepEqual([subnets(a), subnets(b)], [['10.98.1.0/24'], []]);
    await assert.rejects(networks.remove(a), /^ConflictError: the network a is managed by another program \(.*\) and/);
    assert.equal((await networks.list()).length, 2);
  });

  it('has range sets in either form of host-local', () => {
    const set = [{ subnet: '10.98.1.0/24' }];
    assert.deepEqual(hostLocalRangeSets({ type: 'host-local', ranges: [set] }), [set]);
    const plain = { type: 'host-local', subnet: '10.98.1.0/24', gateway: '10.98.1.9' };
    assert.deepEqual(hostLocalRangeSets(plain), [[plain]]);
    for (const ipam of [undefined, {}, { type: 'dhcp', subnet: 'x' }]) {
      assert.deepEqual(hostLocalRangeSets(ipam), []);
    }
  });

  const ways: [ipam: Record<string, unknown>, more: Record<string, unknown>, internal: boolean][] = [
    [{ type: 'host-local', routes: [{ dst: '0.0.0.0/0' }] }, {}, false],
    [{ type: 'host-local', routes: [{ dst: '::/0' }] }, {}, false],
    [{ type: 'host-local' }, {}, true],
    [{ type: 'host-local', routes: [] }, {}, true],
    [{ type: 'host-local', routes: [{ dst: '10.0.0.0/8' }] }, {}, true],
    [{ type: 'host-local' }, { isDefaultGateway: true }, false],
    [{ type: 'dhcp' }, {}, false],
    [{ type: 'static' }, {}, false],
  ];
  for (const [ipam, more, internal] of ways) {
    it(`has ${internal ? 'no' : 'a'} route to the outside: ${JSON.stringify({ ipam, ...more })}`, () => {
      assert.equal(isInternal(networkOf(listOf('a', { ipam, ...more }), '/file')), internal);
    });
  }
});
