import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { ulaSubnet } from '../../../../child/container/network/ipam/subnets.js';
import { listensNow, waitFor } from '../../../support/index.js';
import { execIn, onNetworks, startContainer, startContainerStack, WEB } from '../../../support/stacks/containers.js';
import { ownHost } from '../../../support/stacks/own-host.js';
import { withContainerStack } from '../../../support/stacks/with-stack.js';

/** A LAN, a VPN with a table of its own, one by a rule for its destination, and routes that nothing leads to. */
const WAYS = `
ip addr add 10.4.0.17/24 dev up0
ip addr add 10.9.0.1/32 dev lo
ip route add 10.8.0.0/16 dev up0
ip route add 10.4.1.0/24 dev up0 table 51820
ip rule add lookup 51820
ip rule add to 10.4.3.0/24 lookup 100
ip route add 10.4.5.0/24 dev up0 table 77
ip route add blackhole 10.70.0.0/16
ip route add 0.0.0.0/1 dev up0
ip route add 128.0.0.0/1 dev up0
ip -6 route add fd00:5::/48 dev up0 table 52
ip -6 rule add lookup 52
ip -6 route add ${ulaSubnet('rootless-net six')} dev up0
`;

describe('resolvers of containers in a stack that has IPv6', () => {
  for (const driver of ['slirp4netns', 'pasta']) {
    it(`are of the families that their networks have (${driver})`, async () => {
      const host = ownHost('ip -6 addr add 2001:db8::2/64 dev up0 nodad; ip -6 route add default via 2001:db8::1');
      writeFileSync(host.resolvConf, 'nameserver 192.0.2.53\nnameserver 2001:db8::53\n');
      await using stack = await startContainerStack({ args: [`--net=${driver}`, '--ipv6'], wrapper: host.wrapper });
      await stack.must('network', 'create', 'both', '--ipv6');
      await stack.must('network', 'create', 'only6', '--ipv6', '--ipv4=false');
      await stack.must('network', 'create', 'inner', '--ipv6', '--internal');
      // The gateway of one of its networks.
      for (const [networks, server] of [
        [['bridge'], 'bridge'],
        [['both'], 'both'],
        [['only6'], 'only6'],
        [['inner'], 'inner'],
        [['inner', 'bridge'], 'bridge'],
        [['bridge', 'only6'], 'bridge'],
      ] as const) {
        const { id } = await startContainer(stack, { name: 'c', network: onNetworks(...networks) });
        const { subnets } = await stack.containers.inspectNetwork(server);
        const expected = `nameserver ${subnets[0]?.gateway}\n`;
        assert.equal(await execIn(stack, 'c', 'cat', '/etc/resolv.conf'), expected, networks.join());
        await stack.containers.remove(id, { force: true });
      }
    });
  }
});

describe('subnets on a host with routes of its own', () => {
  const host = ownHost(WAYS);
  before(() => {
    writeFileSync(host.resolvConf, 'nameserver 10.4.2.53\nnameserver 10.10.0.53\nnameserver 127.0.0.53\n');
  });
  const stack = withContainerStack({ args: ['--net=slirp4netns'], wrapper: host.wrapper });
  const subnetOf = async (name: string) => (await stack.containers.inspectNetwork(name)).subnets[0]?.subnet;

  it('are chosen clear of its routes in every table, its rules, addresses and resolvers', async () => {
    assert.equal(await subnetOf('bridge'), '10.4.4.0/24');
    await stack.must('network', 'create', 'next');
    assert.equal(await subnetOf('next'), '10.4.5.0/24');
    const six = await stack.containers.createNetwork({ name: 'six', ipv6: true });
    assert.notEqual(six.subnets[1]?.subnet, ulaSubnet('rootless-net six'));
    assert.match(six.subnets[1]?.subnet ?? '', /^fd.*\/64$/);
  });

  for (const [subnet, what] of [
    ['10.8.0.0/24', "the host's route 10.8.0.0/16 dev up0"],
    ['10.4.1.128/25', "the host's route 10.4.1.0/24 dev up0 table 51820"],
    ['10.4.3.0/24', "the host's rule to 10.4.3.0/24 lookup 100"],
    ['10.4.0.0/24', "the host's route 10.4.0.0/24 dev up0"],
    ['10.9.0.0/24', "the host's address 10.9.0.1/32 dev lo"],
    ['10.10.0.0/24', "the host's resolver 10.10.0.53"],
    ['10.70.3.0/24', "the host's route blackhole 10.70.0.0/16"],
    ['198.51.100.0/25', "the host's route 198.51.100.0/24 dev up0"],
    ['fd00:5:0:7::/64', "the host's route fd00:5::/48 dev up0 table 52"],
  ] as const) {
    it(`are refused on request if they overlap ${what}, and accepted with --force`, async () => {
      const { stdout, stderr } = await stack.net('network', 'create', 'x', '--subnet', subnet);
      const hint = 'choose another --subnet, or use --force';
      assert.deepEqual([stdout, stderr], ['', `error: ${subnet} overlaps ${what}; hint: ${hint}\n`]);
      await stack.must('network', 'create', 'x', '--force', '--subnet', subnet);
      const { subnets } = await stack.containers.inspectNetwork('x');
      assert(subnets.some((entry) => entry.subnet === subnet));
    });
  }

  it('are never that of the stack itself', async () => {
    for (const force of [[], ['--force']]) {
      const { stderr } = await stack.net('network', 'create', 'x', ...force, '--subnet', '10.0.2.0/25');
      assert.match(
        stderr,
        /^error: 10\.0\.2\.0\/25 overlaps the stack's own network 10\.0\.2\.0\/24 \(slirp4netns\); hint: /,
      );
    }
  });

  it('are not held up by what leads everywhere, nor by tables that no rule leads to', async () => {
    await stack.must('network', 'create', 'a', '--subnet', '192.168.77.0/24');
    await stack.must('network', 'create', 'b', '--subnet', '10.4.5.0/24');
  });

  it('can have IPv6 alone', async () => {
    await stack.must('network', 'create', 'only6', '--ipv4=false', '--ipv6');
    const { subnets } = await stack.containers.inspectNetwork('only6');
    assert.deepEqual(
      subnets.map(({ subnet }) => /^fd.*\/64$/.test(subnet)),
      [true],
    );
    await startContainer(stack, { name: 'one', network: onNetworks('only6') });
    await startContainer(stack, { name: 'two', network: onNetworks('only6') });
    assert.match(await execIn(stack, 'one', 'ping', '-c', '1', 'two'), /^PING two \(fd/);
    assert.equal(await execIn(stack, 'one', 'ip', '-4', 'route'), '');
    // The network's own, whatever resolvers the host has.
    assert.equal(await execIn(stack, 'one', 'cat', '/etc/resolv.conf'), `nameserver ${subnets[0]?.gateway}\n`);
  });

  it('can have IPv6 alone, with published ports that clients of both families reach', async () => {
    await stack.must('network', 'create', 'only6', '--ipv4=false', '--ipv6');
    const publish = ['127.0.0.2', '198.51.100.2', '::1'].map((hostIP) => ({
      ...{ hostIP, hostPort: 8080, containerPort: 80, protocol: 'tcp' as const },
    }));
    const network = onNetworks('only6');
    const { pid = 0 } = await startContainer(stack, { hostname: 'six', network, publish, command: WEB });
    await waitFor(() => listensNow(pid, 80), { what: 'the web server' });
    for (const address of ['127.0.0.2', '198.51.100.2', '[::1]']) {
      const { stdout } = await host.enter(stack.started.pid, 'curl', '-sS', '-m', '5', `http://${address}:8080/`);
      assert.equal(stdout, 'six\n', address);
    }
  });

  it('are refused if they belong to none of the families', async () => {
    const refusal = async (...words: string[]) => (await stack.net('network', 'create', 'x', ...words)).stderr;
    assert.equal(
      await refusal('--ipv4=false'),
      'error: a network needs IPv4 or IPv6; hint: with --ipv4=false, give --ipv6\n',
    );
    assert.equal(
      await refusal('--no-ipv4', '--ipv6', '--subnet', '10.66.0.0/24'),
      'error: the subnet 10.66.0.0/24 and --ipv4=false are mutually exclusive\n',
    );
    await assert.rejects(stack.containers.inspectNetwork('x'), { httpStatus: 404 });
  });
});
