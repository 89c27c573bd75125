import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  busyboxRootfs,
  type ContainerStack,
  execIn,
  IDLE,
  startContainer,
  startContainerStack,
  WEB,
} from '../../support/containers.js';
import { freePort, run, waitFor } from '../../support/index.js';
import { hasDeviceKind } from '../../support/kernel.js';

// A matter of the kernel's configuration.
if (hasDeviceKind('macvlan')) {
  describe('a macvlan network', () => {
    let stack: ContainerStack;
    before(async () => {
      stack = await startContainerStack();
      const script =
        'ip link add mv0 type veth peer name mv1; ip link set mv0 up; ip link set mv1 up; ip addr add 10.95.0.1/24 dev mv1';
      const { code, stderr } = await stack.enter(['sh', '-ec', script]);
      assert.equal(code, 0, stderr);
    });
    after(async () => {
      await stack?.[Symbol.asyncDispose]();
    });
    const create = (name: string, ...options: string[]) =>
      stack.net('network', 'create', '--driver', 'macvlan', '--opt', 'parent=mv0', ...options, name);
    const words = (network: string, ...options: string[]) => [
      ...['run', '-d', '--name', 'x', '--net', network, ...options],
      ...['--rootfs', busyboxRootfs(), '--', ...IDLE],
    ];
    const on = (network: string) => ({ mode: 'networks' as const, networks: [{ network }] });
    const addressOf = async (name: string) => (await stack.containers.inspect(name)).attachments[0]?.ips[0];

    it('puts containers on the network of a device, with addresses of ours', async () => {
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

    it('with the IPAM driver static has the addresses that are asked for', async () => {
      const lacking = await create('fixed', '--ipam-driver', 'static');
      assert.equal(
        lacking.stderr,
        'error: the IPAM driver static needs --subnet, for the addresses that containers ask for\n',
      );
      assert.equal((await create('fixed', '--ipam-driver', 'static', '--subnet', '10.95.0.0/24')).code, 0);
      for (const [options, what] of [
        [[], 'the network fixed gives no addresses by itself; choose one with --ip'],
        [['--ip=10.96.0.9'], 'the network fixed does not give the address 10.96.0.9; it has 10.95.0.0/24'],
      ] as const) {
        const { code, stderr } = await stack.net(...words('fixed', ...options));
        assert.deepEqual([code, stderr], [1, `error: ${what}\n`]);
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

    it('of others can have an address of its own for the one container on it', async () => {
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
        [1, 'error: the network other does not give the address 10.95.0.11; it has addresses of its own\n'],
      );
      await stack.must(...words('other'));
      assert.equal(await addressOf('x'), '10.95.0.10/24');
      await execIn(stack, 'x', 'ping', '-c1', '-W5', '10.95.0.1');
      await stack.must('rm', '-f', 'x');
      assert.deepEqual(stack.files(), []);
    });

    it('without its device takes no container, and keeps nothing of the attempt', async () => {
      assert.equal((await stack.net('network', 'create', '-d', 'macvlan', '-o', 'parent=none0', 'lost')).code, 0);
      const { code, stderr } = await stack.net(...words('lost'));
      assert.deepEqual([code, stderr], [1, 'error: CNI plugin macvlan: Link not found (code 999)\n']);
      assert.deepEqual(stack.files(), []);
    });
  });
}
