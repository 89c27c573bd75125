import assert from 'node:assert/strict';
import type { NetlinkReport } from '../../programs/netlink-run.js';
import { programPath, run } from '../../support/index.js';

describe('devices, addresses and routes', () => {
  let report: NetlinkReport;
  before(async () => {
    const words = ['--user', '--map-root-user', '--net', process.execPath, programPath('netlink-run')];
    const { code, stdout, stderr } = await run('unshare', words);
    assert.equal(code, 0, stderr);
    report = JSON.parse(stdout) as NetlinkReport;
  });
  const link = (name: string) => report.links.find((found) => found.name === name);
  const line = (text: string, what: string) => text.split('\n').find((found) => found.includes(what)) ?? '';

  it('are created as requested: a bridge, once', () => {
    const [first, second] = report.bridges;
    assert.equal(first, second);
    const mac = '02:00:00:00:00:01';
    assert.deepEqual(link('br0'), {
      name: 'br0',
      kind: 'bridge',
      mtu: 1300,
      up: true,
      mac,
      alias: '',
      master: 0,
      parent: '',
    });
    assert.match(line(report.kernel.devices, ' br0: '), /UP.* mtu 1300 .*link\/ether 02:00:00:00:00:01 /);
  });

  it('are created as requested: a pair of devices, one end on the bridge, alone', () => {
    const { mac, ...near } = link('near0') ?? { mac: '' };
    assert.match(mac, /^([0-9a-f]{2}:){5}[0-9a-f]{2}$/);
    const alias = 'a name "quoted" ü';
    assert.deepEqual(near, {
      name: 'near0',
      kind: 'veth',
      mtu: 1300,
      up: true,
      alias,
      master: report.bridges[0],
      parent: 'far0',
    });
    const far = {
      name: 'far0',
      kind: 'veth',
      mtu: 1300,
      up: true,
      mac: '02:00:00:00:00:02',
      alias: '',
      master: 0,
      parent: 'near0',
    };
    assert.deepEqual(link('far0'), far);
    assert.match(line(report.kernel.devices, 'far0@near0'), / mtu 1300 .*link\/ether 02:00:00:00:00:02 /);
    assert.match(line(report.kernel.ports, 'near0'), / isolated on /);
  });

  it('are created as requested: addresses, which can be used immediately', () => {
    const addresses = report.addresses.map(({ address }) => address);
    for (const cidr of ['10.5.0.2/24', '10.6.0.1/32', 'fd00:5::2/64']) assert(addresses.includes(cidr), cidr);
    const { addresses: kernel } = report.kernel;
    assert.match(line(kernel, '10.5.0.2/24'), / brd 10\.5\.0\.255 /);
    assert.doesNotMatch(line(kernel, '10.6.0.1/32'), / brd /);
    assert.match(line(kernel, 'fd00:5::2/64'), / nodad /);
    assert.doesNotMatch(line(kernel, 'fd00:5::2/64'), / tentative /);
  });

  it('are created as requested: default routes, and only these are removed', () => {
    const defaults = [
      { destination: '0.0.0.0/0', gateway: '10.5.0.1' },
      { destination: '::/0', gateway: 'fd00:5::1' },
    ];
    const [before = [], after = []] = report.routes;
    for (const route of defaults)
      assert.deepEqual(
        before.filter(({ gateway }) => gateway === route.gateway),
        [route],
      );
    assert(before.some(({ destination, gateway }) => destination === '10.5.0.0/24' && gateway === ''));
    assert.match(report.kernel.routes, /^default via 10\.5\.0\.1 dev far0 $/m);
    assert.match(report.kernel.routes, /^default via fd00:5::1 dev far0 /m);
    const isDefault = ({ destination }: { destination: string }) =>
      defaults.some((route) => route.destination === destination);
    assert.deepEqual(
      after,
      before.filter((route) => !isDefault(route)),
    );
  });

  it('are removed, also if they are not there', () => {
    assert.deepEqual(report.remaining, ['lo']);
  });

  it("are refused with what was attempted, the error, and the kernel's message", () => {
    const { twice, long, nowhere, unreachable, isolated } = report.refusals;
    assert.match(twice ?? '', /^create the device near0: EEXIST/);
    assert.match(long ?? '', /^create the bridge x{16}: (ERANGE|EINVAL)/);
    assert.match(nowhere ?? '', /^add the address 10\.7\.0\.1\/24: ENODEV/);
    assert.match(unreachable ?? '', /^add the default route through 10\.99\.0\.1: ENETUNREACH \(.+\)$/);
    assert.match(isolated ?? '', /^isolate the port of the bridge: E[A-Z]+/);
  });

  it('are removed on another thread, several at once, and no others', () => {
    assert.deepEqual(report.afterRemoval.filter((name) => /^(one|two|three|kept)/.test(name)).sort(), [
      'kept',
      'kept-far',
    ]);
  });
});
