import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { freePort, run, tcpOutcome, udpAsk, waitFor } from '../../../../support/index.js';
import { hasDeviceKind } from '../../../../support/kernel.js';
import {
  busyboxRootfs,
  execIn,
  HOST_PROGRAMS,
  IDLE,
  kill,
  startContainer,
  WEB,
} from '../../../../support/stacks/containers.js';
import { withContainerStack } from '../../../../support/stacks/with-stack.js';
import { seers } from '../../../../support/traffic/peer-seers.js';

// A matter of the kernel's configuration.
if (hasDeviceKind('macvlan')) {
  describe('a macvlan network', () => {
    const stack = withContainerStack({ keep: true });
    before(async () => {
      const script =
        'ip link add mv0 type veth peer name mv1; ip link set mv0 up; ip link set mv1 up; ip addr add 10.95.0.1/24 dev mv1';
      const { code, stderr } = await stack.enter(['sh', '-ec', script]);
      assert.equal(code, 0, stderr);
    });
    const create = (name: string, ...options: string[]) =>
      stack.net('network', 'create', '--driver', 'macvlan', '--opt', 'parent=mv0', ...options, name);
    const words = (network: string, ...options: string[]) => [
      ...['run', '-d', '--name', 'x', '--net', network, ...options],
      ...['--rootfs', busyboxRootfs(), '--', ...IDLE],
    ];
    const on = (network: string) => ({ mode: 'networks' as const, networks: [{ network }] });
    const addressOf = async (name: string) => (await stack.containers.inspect(name)).attachments[0]?.ips[0];

    it('puts containers on the network of a device, with own addresses', async () => {
      const made = await create('lan', '--subnet', '10.95.0.0/24', '--ip-range', '10.95.0.128/25');
      assert.deepEqual([made.code, made.stderr], [0, '']);
      const port = await freePort('127.0.0.1');
      const publish = [{ hostIP: '127.0.0.1', hostPort: port, containerPort: 80, protocol: 'tcp' as const }];
      const { hostname } = await startContainer(stack, { name: 'web', command: WEB, network: on('lan'), publish });
      await startContainer(stack, { name: 'peer', network: on('lan') });
      assert.deepEqual([await addressOf('web'), await addressOf('peer')], ['10.95.0.128/24', '10.95.0.129/24']);
      assert.match(await execIn(stack, 'peer', 'ip', 'route'), /^default via 10\.95\.0\.1 dev eth0/);
      await execIn(stack, 'peer', 'ping', '-c1', '-W5', '10.95.0.1');
      const ask = async () => (await run('curl', ['-sS', '--max-time', '5', `127.0.0.1:${port}`])).stdout;
      await waitFor(async () => (await ask()) === `${hostname}\n`, { what: 'an answer on the published port' });
      assert.equal(await execIn(stack, 'peer', 'wget', '-qO-', 'http://web/'), `${hostname}\n`);
      assert.equal(await stack.must('network', 'check', 'lan'), 'lan: ok');

      await stack.must('stop', 'web', 'peer');
      await stack.must('start', 'peer');
      assert.equal(await addressOf('peer'), '10.95.0.129/24');
      await stack.must('rm', '-f', 'web', 'peer');
      assert.deepEqual(stack.files(), []);
    });

    it('publishes ports also if its device does not see the containers on it, and those of other networks', async () => {
      const script =
        'ip link add mp0 type veth peer name mp1; ip link set mp0 up; ip link set mp1 up; ip addr add 10.97.0.1/24 dev mp0';
      assert.equal((await stack.enter(['sh', '-ec', script])).code, 0);
      const options = ['--driver', 'macvlan', '--opt', 'parent=mp0', '--subnet', '10.97.0.0/24'];
      await stack.must('network', 'create', ...options, 'blind');
      // No address of this namespace is on it.
      const ipam = { type: 'static', addresses: [{ address: '10.98.0.10/24' }, { address: 'fd98::10/64' }] };
      const list = { cniVersion: '1.0.0', name: 'distant', plugins: [{ type: 'bridge', bridge: 'far0', ipam }] };
      mkdirSync(stack.confDir, { recursive: true });
      writeFileSync(join(stack.confDir, '10-distant.conflist'), JSON.stringify(list));
      for (const network of ['blind', 'distant']) {
        const port = await freePort('127.0.0.1');
        const publish = (['tcp', 'udp'] as const).map((protocol) => ({
          hostIP: '127.0.0.1',
          hostPort: port,
          containerPort: 80,
          protocol,
        }));
        const command = seers(network === 'blind' ? '4:80' : '6:80');
        const request = { name: 'x', command, network: on(network), publish, mounts: HOST_PROGRAMS };
        const { attachments } = await startContainer(stack, request);
        const own = attachments[0]?.ips.at(-1)?.replace(/\/.*/, '') ?? '';
        await waitFor(async () => (await tcpOutcome('127.0.0.1', port)).data.toString().startsWith(`${own} `), {
          what: 'an answer over TCP',
        });
        assert.ok((await udpAsk('127.0.0.1', port, 'who')).toString().startsWith(`${own} `), network);
        for (const agent of stack.agents()) kill(agent);
        assert.ok((await tcpOutcome('127.0.0.1', port)).data.toString().startsWith(`${own} `), network);
        await stack.settled();
        await stack.must('rm', '-f', 'x');
      }
      await stack.must('network', 'rm', 'blind');
    });

    it('with the IPAM driver static has the addresses that are requested', async () => {
      const lacking = await create('fixed', '--ipam-driver', 'static');
      assert.equal(
        lacking.stderr,
        'error: the IPAM driver static needs --subnet, for the addresses that containers request\n',
      );
      assert.equal((await create('fixed', '--ipam-driver', 'static', '--subnet', '10.95.0.0/24')).code, 0);
      for (const [options, what] of [
        [[], 'the network fixed assigns no addresses by itself; choose one with --ip'],
        [['--ip=10.96.0.9'], 'the network fixed does not assign the address 10.96.0.9; it has 10.95.0.0/24'],
      ] as const) {
        const { code, stderr } = await stack.net(...words('fixed', ...options));
        assert.deepEqual([code, stderr], [125, `error: ${what}\n`]);
      }
      await stack.must(...words('fixed', '--ip=10.95.0.9'));
      for (const _run of ['first', 'second']) {
        assert.equal(await addressOf('x'), '10.95.0.9/24');
        assert.match(await execIn(stack, 'x', 'ip', 'route'), /^default via 10\.95\.0\.1 dev eth0/);
        await execIn(stack, 'x', 'ping', '-c1', '-W5', '10.95.0.1');
        await stack.must('restart', 'x');
      }
      await stack.must('rm', '-f', 'x');
      assert.deepEqual(stack.files(), []);
    });

    it('that is external can have an address of its own for the one container on it', async () => {
      mkdirSync(stack.confDir, { recursive: true });
      const ipam = {
        type: 'static',
        addresses: [{ address: '10.95.0.10/24', gateway: '10.95.0.1' }],
        routes: [{ dst: '0.0.0.0/0' }],
      };
      const list = { cniVersion: '1.0.0', name: 'other', plugins: [{ type: 'macvlan', master: 'mv0', ipam }] };
      writeFileSync(join(stack.confDir, '10-other.conflist'), JSON.stringify(list));
      const { code, stderr } = await stack.net(...words('other', '--ip=10.95.0.11'));
      assert.deepEqual(
        [code, stderr],
        [125, 'error: the network other does not assign the address 10.95.0.11; it has addresses of its own\n'],
      );
      await stack.must(...words('other'));
      assert.equal(await addressOf('x'), '10.95.0.10/24');
      await execIn(stack, 'x', 'ping', '-c1', '-W5', '10.95.0.1');
      await stack.must('rm', '-f', 'x');
      assert.deepEqual(stack.files(), []);
    });

    it('without its device takes no container, and keeps nothing of the attempt', async () => {
      const make = () => stack.net('network', 'create', '-d', 'macvlan', '-o', 'parent=none0', 'lost');
      const refused = await make();
      assert.equal(refused.code, 1);
      assert.match(
        refused.stderr,
        /^error: no device none0 in the namespace of the stack \(-o parent=none0\); hint: it has .*mv0.*\n$/,
      );
      await stack.enter(['ip', 'link', 'add', 'none0', 'type', 'veth', 'peer', 'name', 'none1']);
      assert.equal((await make()).code, 0);
      await stack.enter(['ip', 'link', 'delete', 'none0']);
      const { code, stderr } = await stack.net(...words('lost'));
      assert.deepEqual([code, stderr], [125, 'error: CNI plugin macvlan: Link not found (code 999)\n']);
      assert.deepEqual(stack.files(), []);
    });
  });
}
