import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import type { NewNetwork } from '../../../parent/api/container-client.js';
import type { AttachmentRequest, ContainerReport } from '../../../protocol/containers.js';
import {
  addressOf,
  busyboxRootfs,
  type ContainerStack,
  execIn,
  IDLE,
  onNetworks,
  reaches,
  removeAll,
  startContainer,
  startContainerStack,
} from '../../support/containers.js';

describe('containers on networks', () => {
  let stack: ContainerStack;
  before(async () => {
    stack = await startContainerStack();
  });
  afterEach(async () => {
    await removeAll(stack);
  });
  after(async () => {
    await stack?.[Symbol.asyncDispose]();
  });

  const make = (request: NewNetwork) => stack.containers.createNetwork(request);
  const startOn = (name: string, ...networks: (string | AttachmentRequest)[]) =>
    // A resolver that is not there, so that unknown names are refused at once.
    startContainer(stack, { name, network: onNetworks(...networks), dns: ['127.0.0.1'] });
  const inspect = (name: string) => stack.containers.inspect(name);
  /** What a program prints that runs in a container's network, as root of the stack, whatever the container may. */
  const inNetwork = async ({ pid }: ContainerReport, ...command: string[]) => {
    const { code, stdout, stderr } = await stack.enter(['nsenter', `--net=/proc/${pid}/ns/net`, ...command]);
    assert.equal(code, 0, `${command.join(' ')}: ${stderr}`);
    return stdout;
  };
  const defaultRoutes = async (name: string, ...family: string[]) =>
    (await execIn(stack, name, 'ip', ...family, 'route'))
      .split('\n')
      .filter((line) => line.startsWith('default'))
      .map((line) => line.trim().replace(/ +/g, ' '));
  const interfaces = ({ attachments }: ContainerReport) =>
    attachments.map(({ interface: name, network }) => `${name} ${network}`);

  /** A host outside of the stack's networks, at 192.0.2.2, to which the stack has a route. */
  async function makeOutside(): Promise<void> {
    const { pid } = await startContainer(stack, { name: 'outside', network: { mode: 'none' } });
    const script = `
      ip link add out0 type veth peer name eth0 netns ${pid}
      ip addr add 192.0.2.1/24 dev out0
      ip link set out0 up
      nsenter --net=/proc/${pid}/ns/net sh -ec 'ip addr add 192.0.2.2/24 dev eth0; ip link set eth0 up'`;
    const { code, stderr } = await stack.enter(['sh', '-ec', script]);
    assert.equal(code, 0, stderr);
  }

  it('reach each other on one network, and the outside, but not those on other networks', async () => {
    await makeOutside();
    await make({ name: 'n1' });
    await make({ name: 'n2' });
    const [, a2, b1] = await Promise.all([startOn('a1', 'n1'), startOn('a2', 'n1'), startOn('b1', 'n2')]);
    const results = await Promise.all([
      reaches(stack, 'a1', addressOf(a2)),
      reaches(stack, 'a1', '192.0.2.2'),
      reaches(stack, 'a1', addressOf(b1)),
      reaches(stack, 'b1', addressOf(a2)),
    ]);
    assert.deepEqual(results, [true, true, false, false]);
  });

  it('have no way out of an internal network, not even with a route of their own', async () => {
    await makeOutside();
    const { subnets } = await make({ name: 'inner', internal: true });
    const gateway = subnets[0]?.gateway ?? '';
    const [a, b] = await Promise.all([startOn('a', 'inner'), startOn('b', 'inner')]);
    assert.deepEqual(await defaultRoutes('a'), []);
    assert.equal(await reaches(stack, 'a', addressOf(b)), true);
    assert.match((await inNetwork(a, 'ip', 'route', 'add', 'default', 'via', gateway)) || 'made', /made/);
    assert.equal(await reaches(stack, 'a', '192.0.2.2'), false);
    // And from outside to it neither.
    const { stdout } = await stack.enter(['sh', '-c', `ip route get ${addressOf(a)}`]);
    assert.match(stdout, /dev rn-/);
    const outside = await inspect('outside');
    await inNetwork(outside, 'ip', 'route', 'add', `${addressOf(a)}/32`, 'via', '192.0.2.1');
    assert.equal(await reaches(stack, 'outside', addressOf(a)), false);
  });

  it('cannot be reached from outside but through published ports', async () => {
    await makeOutside();
    const a = await startOn('a', 'bridge');
    await inNetwork(await inspect('outside'), 'ip', 'route', 'add', `${addressOf(a)}/32`, 'via', '192.0.2.1');
    assert.deepEqual(await Promise.all([reaches(stack, 'outside', addressOf(a)), reaches(stack, 'a', '192.0.2.2')]), [
      false,
      true,
    ]);
  });

  it('are kept apart on a network without icc, also by way of the gateway', async () => {
    await makeOutside();
    const { subnets } = await make({ name: 'apart', icc: false });
    const [a, b] = await Promise.all([startOn('a', 'apart'), startOn('b', 'apart')]);
    const gateway = subnets[0]?.gateway ?? '';
    assert.deepEqual(
      await Promise.all([
        reaches(stack, 'a', addressOf(b)),
        reaches(stack, 'b', addressOf(a)),
        reaches(stack, 'a', gateway),
        reaches(stack, 'a', '192.0.2.2'),
      ]),
      [false, false, true, true],
    );
    await inNetwork(a, 'ip', 'route', 'add', `${addressOf(b)}/32`, 'via', gateway);
    await inNetwork(b, 'ip', 'route', 'add', `${addressOf(a)}/32`, 'via', gateway);
    assert.equal(await reaches(stack, 'a', addressOf(b)), false);
  });

  it('have IPv6 where the network has it, of a subnet that is chosen for it', async () => {
    const report = await make({ name: 'six', ipv6: true, options: { mtu: '1400' } });
    assert.match(report.subnets[1]?.subnet ?? '', /^fd[0-9a-f]{2}:[0-9a-f:]+::\/64$/);
    const [a, b] = await Promise.all([startOn('a', 'six'), startOn('b', 'six')]);
    assert.match(a.attachments[0]?.ips[1] ?? '', /^fd[0-9a-f:]+::[23]\/64$/);
    assert.deepEqual(await defaultRoutes('a', '-6'), [
      `default via ${report.subnets[1]?.gateway} dev eth0 metric 1024`,
    ]);
    assert.deepEqual(
      await Promise.all([4, 6].map((family) => reaches(stack, 'a', addressOf(b, 'six', family as 4 | 6)))),
      [true, true],
    );
    assert.match(await execIn(stack, 'a', 'ip', 'link', 'show', 'eth0'), / mtu 1400 /);
    // The same network again has the same subnet.
    await removeAll(stack);
    assert.deepEqual((await make({ name: 'six', ipv6: true })).subnets[1], report.subnets[1]);
  });

  it('get addresses of the IP range only, without those of other hosts', async () => {
    await make({
      name: 'part',
      subnets: ['10.95.0.0/24', 'fd00:95::/64'],
      ipRanges: ['10.95.0.8/30', 'fd00:95::40/122'],
      gateways: ['10.95.0.9'],
      auxAddresses: ['router=10.95.0.10'],
    });
    const a = await startOn('a', 'part');
    const b = await startOn('b', 'part');
    assert.deepEqual(
      [...a.attachments, ...b.attachments].flatMap(({ ips }) => ips),
      ['10.95.0.8/24', 'fd00:95::40/64', '10.95.0.11/24', 'fd00:95::41/64'],
    );
    await assert.rejects(startOn('c', 'part'), {
      status: 409,
      message: /^no IP addresses available in .* of network part/,
    });
    const aux = startOn('d', { network: 'part', ip: '10.95.0.10' });
    await assert.rejects(aux, {
      status: 409,
      message: /^requested IP address 10.95.0.10 is not for containers of network part/,
    });
  });

  it('get the addresses, the MAC address and the names that they ask for', async () => {
    await make({ name: 'asked', subnets: ['10.96.0.0/24', 'fd00:96::/64'] });
    const options = ['--ip', '10.96.0.77', '--ip6', 'fd00:96::77', '--mac-address', '02:11:22:33:44:55'];
    const rootfs = ['--rootfs', busyboxRootfs(), '--', ...IDLE];
    await stack.must('run', '-d', '--name', 'a', '--net', 'asked', ...options, '--network-alias', 'db', ...rootfs);
    const shown = await execIn(stack, 'a', 'ip', 'addr', 'show', 'eth0');
    assert.match(shown, /inet 10\.96\.0\.77\/24 /);
    assert.match(shown, /inet6 fd00:96::77\/64 /);
    assert.match(shown, /ether 02:11:22:33:44:55 /);
    await stack.must('run', '-d', '--name', 'b', '--net', 'asked:ip=10.96.0.78,alias=b2,alias=b3', ...rootfs);
    for (const name of ['a', 'db', 'db.asked']) assert.equal(await reaches(stack, 'b', name), true, name);
    for (const name of ['b', 'b2', 'b3', '10.96.0.78']) assert.equal(await reaches(stack, 'a', name), true, name);
  });

  it('cannot have an address that is no address of the network, or that another has, also a stopped one', async () => {
    await make({ name: 'asked', subnets: ['10.96.0.0/24'] });
    const first = await startOn('first', { network: 'asked', ip: '10.96.0.7' });
    for (const phase of ['running', 'exited']) {
      assert.equal((await inspect('first')).status, phase);
      for (const [ip, message] of [
        [
          '10.96.0.7',
          `requested IP address 10.96.0.7 is not available in network asked: container ${first.id} has it, choose another`,
        ],
        ['10.96.0.1', 'requested IP address 10.96.0.1 is the gateway of network asked, choose another'],
        ['10.96.0.255', 'requested IP address 10.96.0.255 is the broadcast address of 10.96.0.0/24, choose another'],
        ['10.97.0.7', /^requested IP address 10\.97\.0\.7 is not in network asked/],
      ] as const) {
        const rootfs = ['--rootfs', busyboxRootfs(), '--', ...IDLE];
        const words = ['run', '-d', '--name', 'second', '--net', 'asked', '--ip', ip, ...rootfs];
        const { code, stderr } = await stack.net(...words);
        assert.equal(code, 1);
        if (typeof message === 'string') assert.equal(stderr, `error: ${message}\n`);
        else assert.match(stderr.replace(/^error: (.*)\n$/, '$1'), message);
        assert.equal((await stack.containers.list()).length, 1);
      }
      await stack.containers.stop('first');
    }
    await stack.containers.remove('first');
    assert.equal(addressOf(await startOn('second', { network: 'asked', ip: '10.96.0.7' })), '10.96.0.7');
  });

  it('are refused what is no address and no name, and are not made', async () => {
    await make({ name: 'asked', subnets: ['10.96.0.0/24'] });
    for (const [asked, message] of [
      [{ ip: '10.96.0' }, /"10\.96\.0" is not an IPv4 address/],
      [{ ip: 'fd00::1' }, /"fd00::1" is not an IPv4 address/],
      [{ ip6: '10.96.0.7' }, /"10\.96\.0\.7" is not an IPv6 address/],
      [{ mac: '01:00:00:00:00:01' }, /"01:00:00:00:00:01" is not a unicast MAC address/],
      [{ mac: '02:00:00:00:00' }, /is not a unicast MAC address/],
      [{ aliases: ['a b'] }, /"a b" is not the name of a host/],
      [{ network: 'nowhere' }, /^no such network: nowhere/],
    ] as const) {
      const request = { network: 'asked', ...asked } as unknown as AttachmentRequest;
      await assert.rejects(startOn('c', request), { message }, JSON.stringify(asked));
    }
    assert.deepEqual(await stack.containers.list(), []);
    // Only the network can say this, when the container is there and begins.
    await assert.rejects(startOn('c', { network: 'asked', ip6: 'fd00::7' }), {
      message: /^requested IP address fd00::7 is not in network asked, which has 10\.96\.0\.1-10\.96\.0\.254$/,
    });
  });

  it('keep their address while they are stopped, and nobody else gets it', async () => {
    await make({ name: 'small', subnets: ['10.98.0.0/29'] });
    const a = await startOn('a', 'small');
    await startOn('b', 'small');
    const mac = a.attachments[0]?.mac;
    await stack.containers.stop('a');
    // Five addresses are for containers, and a holds one of them.
    for (const name of ['c', 'd', 'e']) assert.notEqual(addressOf(await startOn(name, 'small')), addressOf(a));
    await assert.rejects(startOn('f', 'small'), { message: /^no IP addresses available/ });
    const again = await stack.containers.start('a');
    assert.deepEqual([addressOf(again), again.attachments[0]?.mac], [addressOf(a), mac]);
    await stack.containers.remove('a', { force: true });
    assert.equal(addressOf(await stack.containers.start('f')), addressOf(a));
  });

  it('have eth0, eth1 … in the order of their networks, and one default route, by the first that is not internal', async () => {
    for (const name of ['m1', 'm2']) await make({ name });
    await make({ name: 'inner', internal: true });
    const gatewayOf = async (name: string) => (await stack.containers.inspectNetwork(name)).subnets[0]?.gateway;
    for (const [networks, main, device] of [
      [['m1', 'm2'], 'm1', 'eth0'],
      [['m2', 'm1'], 'm2', 'eth0'],
      [['inner', 'm2', 'm1'], 'm2', 'eth1'],
    ] as const) {
      const name = `c-${randomUUID().slice(0, 8)}`;
      const report = await startOn(name, ...networks);
      assert.deepEqual(
        interfaces(report),
        networks.map((network, index) => `eth${index} ${network}`),
      );
      for (const { interface: ifname, ips } of report.attachments) {
        assert((await execIn(stack, name, 'ip', 'addr', 'show', ifname)).includes(` ${ips[0]} `));
      }
      assert.deepEqual(await defaultRoutes(name), [`default via ${await gatewayOf(main)} dev ${device}`]);
      const again = await stack.containers.restart(name);
      assert.deepEqual(again.attachments, report.attachments);
    }
  });

  it('cannot be on a network twice, by whatever names', async () => {
    const { id } = await make({ name: 'once' });
    for (const networks of [
      ['once', 'once'],
      ['once', id],
      [id.slice(0, 8), id],
    ]) {
      await assert.rejects(startOn('c', ...networks), { message: /^the network .* is named twice$/ });
    }
    assert.deepEqual(await stack.containers.list(), []);
  });

  it('are connected and disconnected while they run', async () => {
    const { id } = await make({ name: 'm1', subnets: ['10.81.0.0/24'] });
    await make({ name: 'm2', subnets: ['10.82.0.0/24'] });
    await startOn('a', 'm1');
    const b = await startOn('b', 'm2');
    assert.equal(await reaches(stack, 'a', 'b'), false);
    await stack.must('network', 'connect', 'm2', 'a', '--ip', '10.82.0.20', '--alias', 'also-a');
    assert.deepEqual(interfaces(await inspect('a')), ['eth0 m1', 'eth1 m2']);
    assert.equal(addressOf(await inspect('a'), 'm2'), '10.82.0.20');
    for (const name of ['b', addressOf(b)]) assert.equal(await reaches(stack, 'a', name), true, name);
    for (const name of ['a', 'a.m2', 'also-a']) assert.equal(await reaches(stack, 'b', name), true, name);
    assert.deepEqual(await defaultRoutes('a'), ['default via 10.81.0.1 dev eth0']);
    for (const network of ['m2', 'm1', id]) {
      const { code, stderr } = await stack.net('network', 'connect', network, 'a');
      const name = network === 'm2' ? 'm2' : 'm1';
      assert.deepEqual([code, stderr], [1, `error: the container a is on the network ${name} already\n`]);
    }
    await stack.must('network', 'disconnect', 'm2', 'a');
    assert.deepEqual(interfaces(await inspect('a')), ['eth0 m1']);
    assert.deepEqual(await Promise.all([reaches(stack, 'a', addressOf(b)), reaches(stack, 'b', 'a')]), [false, false]);
    for (const [network, message] of [
      ['m2', 'the container a is not on the network m2'],
      ['m1', 'm1 is the only network of a; connect it to another one first'],
      ['m3', 'no such network: m3; rootless-net network ls shows them'],
    ]) {
      const { code, stderr } = await stack.net('network', 'disconnect', network ?? '', 'a');
      assert.deepEqual([code, stderr], [1, `error: ${message}\n`]);
    }
    // The address is free, and the network is not in use by it any more.
    assert.equal(addressOf(await startOn('c', { network: 'm2', ip: '10.82.0.20' })), '10.82.0.20');
    for (const name of ['b', 'c']) await stack.containers.remove(name, { force: true });
    await stack.containers.removeNetwork('m2');
  });

  it('keep a default route when they leave the network that it led to, or come to the first that has a way out', async () => {
    await make({ name: 'm1', subnets: ['10.81.0.0/24', 'fd00:81::/64'] });
    await make({ name: 'm2', subnets: ['10.82.0.0/24', 'fd00:82::/64'] });
    await make({ name: 'inner', internal: true });
    const { containers } = stack;
    const routes = async () => [...(await defaultRoutes('a')), ...(await defaultRoutes('a', '-6'))];
    const by = (subnet: number, device: string) => [
      `default via 10.${subnet}.0.1 dev ${device}`,
      `default via fd00:${subnet}::1 dev ${device} metric 1024`,
    ];
    await startOn('a', 'm1', 'm2');
    assert.deepEqual(await routes(), by(81, 'eth0'));
    await containers.disconnect('m1', 'a');
    assert.deepEqual(await routes(), by(82, 'eth1'));
    await containers.connect('inner', 'a');
    assert.deepEqual(interfaces(await inspect('a')), ['eth1 m2', 'eth0 inner']);
    await containers.disconnect('m2', 'a');
    assert.deepEqual(await routes(), []);
    await containers.connect('m1', 'a');
    assert.deepEqual(await routes(), by(81, 'eth1'));
  });

  it('have the same interfaces and addresses after a stop and a start, whatever networks they left and came to', async () => {
    for (const name of ['m1', 'm2', 'm3']) await make({ name });
    const { containers } = stack;
    await startOn('a', 'm1', 'm2');
    await containers.disconnect('m1', 'a');
    await containers.connect('m3', 'a');
    const { attachments } = await inspect('a');
    assert.deepEqual((await containers.restart('a')).attachments, attachments);
  });

  it('are connected and disconnected while they are stopped', async () => {
    await make({ name: 'm1' });
    await make({ name: 'm2', subnets: ['10.82.0.0/24'] });
    const { containers } = stack;
    await startOn('a', 'm1', { network: 'm2', ip: '10.82.0.20' });
    await containers.stop('a');
    await containers.disconnect('m2', 'a');
    assert.equal(addressOf(await startOn('b', { network: 'm2', ip: '10.82.0.20' })), '10.82.0.20');
    await containers.connect('m2', 'a', { ip: '10.82.0.21' });
    const report = await containers.start('a');
    assert.deepEqual(interfaces(report), ['eth0 m1', 'eth1 m2']);
    assert.equal(addressOf(report, 'm2'), '10.82.0.21');
    assert.equal(await reaches(stack, 'b', 'a'), true);
  });

  it('stay as they were when a network cannot be connected', async () => {
    await make({ name: 'm1' });
    await make({ name: 'm2', subnets: ['10.82.0.0/24'] });
    await startOn('b', { network: 'm2', ip: '10.82.0.20' });
    const before = await startOn('a', 'm1');
    const { code, stderr } = await stack.net('network', 'connect', 'm2', 'a', '--ip', '10.82.0.20');
    assert.equal(code, 1);
    assert.match(stderr, /^error: requested IP address 10\.82\.0\.20 is not available in network m2: .*\n$/);
    assert.deepEqual(await inspect('a'), before);
    assert.match(await execIn(stack, 'a', 'ip', '-o', 'link'), /^1: lo:[^\n]*\n\d+: eth0@[^\n]*\n$/);
    assert.deepEqual((await stack.containers.restart('a')).attachments, before.attachments);
  });

  describe('with a network of another kind', () => {
    const rootfs = () => ['--rootfs', busyboxRootfs()];
    /** Files that come and go with containers. */
    const stateFiles = () =>
      readdirSync(stack.stateDir, { recursive: true, withFileTypes: true })
        .filter((entry) => entry.isFile())
        .map((entry) => join(entry.parentPath, entry.name));
    const namespaceOf = (pid = 0) => readlinkSync(`/proc/${pid}/ns/net`);
    const childPid = () => Number(readFileSync(join(stack.stateDir, 'child_pid'), 'utf8'));

    for (const [kind, shown] of [
      ['none', 'none'],
      ['host', 'host'],
      ['container:target', /^container:[0-9a-f]{12}$/],
      ['ns', /^ns:\/proc\/\d+\/ns\/net$/],
    ] as const) {
      it(`go through run, stop, start, rename and rm without a warning, and leave no file (${kind})`, async () => {
        const target = await startContainer(stack, { name: 'target' });
        const other = await startContainer(stack, { name: 'other', network: { mode: 'none' } });
        const files = stack.files();
        const state = stateFiles();
        const network = kind === 'ns' ? `ns:/proc/${other.pid}/ns/net` : kind;
        const where = ['--net', network, ...rootfs(), '--'];

        assert.equal(await stack.must('run', '--rm', ...where, 'echo', 'hello'), 'hello');
        assert.deepEqual([stack.files(), stateFiles()], [files, state]);

        const id = await stack.must('run', '-d', '--name', 'm', ...where, ...IDLE);
        for (const round of ['first', 'second']) {
          const namespace = namespaceOf((await inspect('m')).pid);
          const namespaces: Record<string, string> = {
            host: namespaceOf(childPid()),
            'container:target': namespaceOf(target.pid),
            ns: namespaceOf(other.pid),
          };
          if (kind === 'none') {
            assert(!Object.values(namespaces).includes(namespace), round);
            assert.match(await execIn(stack, 'm', 'ip', '-o', 'link'), /^1: lo: <LOOPBACK,UP,[^\n]*\n$/);
          } else assert.equal(namespace, namespaces[kind], round);
          const row = (await stack.must('ps')).split('\n').find((line) => line.startsWith(id.slice(0, 12)));
          assert.match((row ?? '').split(/ {2,}/)[3] ?? '', shown instanceof RegExp ? shown : new RegExp(`^${shown}$`));
          await stack.must('stop', 'm');
          await stack.must('start', 'm');
        }
        await stack.must('rename', 'm', 'n');
        await stack.must('stop', 'n');
        await stack.must('rename', 'n', 'o');
        if (kind === 'container:target') await stack.must('rename', 'target', 'renamed');
        await stack.must('start', 'o');
        await stack.must('stop', 'o');
        await stack.must('rm', 'o');
        const { code, stderr } = await stack.net('rm', 'o');
        assert.deepEqual([code, stderr], [1, 'error: no such container: o\n']);
        if (kind === 'container:target') await stack.must('rename', 'renamed', 'target');
        assert.deepEqual([stack.files(), stateFiles()], [files, state]);
        assert.equal(stack.started.output(), '');
      });
    }

    it('are refused where there is no such network, or what cannot go with it is asked for', async () => {
      await startContainer(stack, { name: 'target' });
      await stack.containers.stop('target');
      const files = stack.files();
      for (const [args, message] of [
        [
          ['--net=container:target'],
          'the container target, whose network is asked for, is not running; start it first',
        ],
        [['--net=container:nobody'], 'no such container: nobody'],
        [['--net=ns:/no/such'], 'there is no network namespace at /no/such'],
        [['--net=ns:/etc/passwd'], /^error: cannot use \/etc\/passwd as a network namespace: .*\n$/],
        [['--net=none', '--net=host'], '--network=none cannot go with other networks'],
        [['--net=none', '--ip=10.4.0.9'], '--ip cannot go with --network=none'],
        [['--net=container:target', '--hostname=h'], 'a host name of its own cannot go with --network=container'],
        [
          ['--net=container:target', '--dns=1.1.1.1'],
          'resolvers of its own (--dns…) cannot go with --network=container',
        ],
        [
          ['--net=container:target', '--add-host=a:1.1.1.1'],
          'hosts of its own (--add-host) cannot go with --network=container',
        ],
      ] as const) {
        const { code, stderr } = await stack.net('run', '-d', ...args, ...rootfs(), '--', ...IDLE);
        assert.equal(code, 1, stderr);
        if (typeof message === 'string') assert.equal(stderr, `error: ${message}\n`);
        else assert.match(stderr, message);
        assert.equal(stderr.split('\n').length, 2);
      }
      assert.deepEqual(stack.files(), files);
    });

    it('cannot be started without the container whose network they share, but be removed', async () => {
      const { id } = await startContainer(stack, { name: 'target' });
      await startContainer(stack, { name: 'guest', network: { mode: 'container', container: 'target' } });
      await stack.must('rm', '-f', 'target');
      assert.equal((await inspect('guest')).status, 'running');
      await stack.must('stop', 'guest');
      const { code, stderr } = await stack.net('start', 'guest');
      const why = `the container ${id.slice(0, 12)}, whose network is asked for, has been removed`;
      assert.deepEqual([code, stderr], [1, `error: ${why}\n`]);
      await stack.must('rm', 'guest');
    });

    it('cannot be put on a network', async () => {
      await startContainer(stack, { name: 'alone', network: { mode: 'none' } });
      await assert.rejects(stack.containers.connect('bridge', 'alone'), {
        status: 409,
        message: 'the container alone is on no networks of its own (--network=none)',
      });
    });
  });
});
