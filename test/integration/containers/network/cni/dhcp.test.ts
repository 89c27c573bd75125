import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { isAlive, processTree, type Started, start, tempDir, waitFor } from '../../../../support/index.js';
import { hasDeviceKind } from '../../../../support/kernel.js';
import {
  busyboxRootfs,
  type ContainerStack,
  execIn,
  IDLE,
  kill,
  startContainer,
  startContainerStack,
} from '../../../../support/stacks/containers.js';

/** A stack with a bridge in its namespaces, a DHCP server on that, and a network whose containers ask there. */
class Lan implements AsyncDisposable {
  readonly #leases = join(tempDir(), 'leases');
  #server: Started | undefined;

  private constructor(readonly stack: ContainerStack) {}

  static async start(): Promise<Lan> {
    const lan = new Lan(await startContainerStack({ args: ['--net=none', '--debug'] }));
    const { stack } = lan;
    mkdirSync(stack.confDir, { recursive: true });
    const plugins = [{ type: 'bridge', bridge: 'br-lan', ipam: { type: 'dhcp' } }];
    writeFileSync(join(stack.confDir, 'lan.conflist'), JSON.stringify({ cniVersion: '1.0.0', name: 'lan', plugins }));
    const script = [
      'ip link add br-lan type bridge; ip addr add 10.93.0.1/24 dev br-lan; ip link set br-lan up',
      'ip link add mv0 type veth peer name mv1; ip addr add 10.94.0.1/24 dev mv1; ip link set mv0 up; ip link set mv1 up',
    ].join('; ');
    const { code, stderr } = await stack.enter(['sh', '-ec', script]);
    assert.equal(code, 0, stderr);
    writeFileSync(lan.#leases, '');
    const server = [
      ...['dnsmasq', '--keep-in-foreground', '--conf-file=/dev/null', '--pid-file=', '--user=root', '--group='],
      ...['--log-facility=-', '--port=0', '--interface=br-lan', '--interface=mv1', '--bind-interfaces', '--no-ping'],
      ...['--dhcp-range=10.93.0.50,10.93.0.99,2m', '--dhcp-range=10.94.0.50,10.94.0.99,2m', '--dhcp-authoritative'],
      `--dhcp-leasefile=${lan.#leases}`,
    ];
    lan.#server = await start('nsenter', [...stack.into(), ...server], { ready: { output: /DHCP, IP range/ } });
    return lan;
  }

  /** Starts a container there; resolves with its address. */
  async run(name: string, network = 'lan'): Promise<string> {
    const networks = [{ network }];
    const { attachments } = await startContainer(this.stack, { name, network: { mode: 'networks', networks } });
    return attachments[0]?.ips[0] ?? '';
  }

  /** Addresses that the server has given away. */
  leases(): string[] {
    const lines = readFileSync(this.#leases, 'utf8').split('\n').filter(Boolean);
    return lines.map((line) => `${line.split(' ')[2]}/24`).sort();
  }

  daemons(): number[] {
    const all = processTree(this.stack.started.pid);
    return all.filter(({ comm }) => comm === 'dhcp').map(({ pid }) => pid);
  }

  /** How often the daemon got a lease that it did not have. */
  acquired(): number {
    return this.stack.started.output().match(/DHCP: .*: lease acquired/g)?.length ?? 0;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server?.[Symbol.asyncDispose]();
    await this.stack[Symbol.asyncDispose]();
  }
}

describe('a network with DHCP', () => {
  let lan: Lan;
  let address: string;
  before(async () => {
    lan = await Lan.start();
  });
  after(async () => {
    await lan?.[Symbol.asyncDispose]();
  });

  it('gives containers that start together a lease each, from one daemon', async () => {
    const [one = '', other = ''] = await Promise.all([lan.run('one'), lan.run('other')]);
    assert.deepEqual(lan.leases(), [one, other].sort());
    assert.equal(new Set(lan.leases()).size, 2);
    assert.equal(lan.daemons().length, 1);
    assert.match(await execIn(lan.stack, 'one', 'ip', '-4', 'addr', 'show', 'eth0'), new RegExp(` inet ${one} `));
    assert.match(await execIn(lan.stack, 'one', 'ip', 'route'), /^default via 10\.93\.0\.1 dev eth0/);
    assert.equal(await lan.stack.must('network', 'check', 'lan'), 'lan: ok');
    address = one;
  });

  it('gets a lease back when its container ends', async () => {
    await lan.stack.must('rm', '-f', 'other');
    assert.deepEqual(lan.leases(), [address]);
  });

  it('refuses an address that is requested, and keeps none', async () => {
    const words = ['--net=lan', '--ip=10.93.0.200', '--rootfs', busyboxRootfs(), '--', ...IDLE];
    const { code, stderr } = await lan.stack.net('run', '-d', '--name', 'asks', ...words);
    assert.equal(code, 125);
    assert.match(stderr, /^error: .*does not assign the address 10\.93\.0\.200 but 10\.93\.0\.\d+\/24; .*\n$/);
    assert.deepEqual(lan.leases(), [address]);
  });

  it('has leases continued by another daemon where one was killed, alone or with the agent', async () => {
    for (const victims of [lan.daemons(), lan.stack.agents()]) {
      const before = lan.acquired();
      const old = lan.daemons();
      for (const pid of victims) kill(pid);
      await waitFor(() => lan.acquired() > before, { what: 'another daemon with the lease', timeout: 40_000 });
      assert.deepEqual([lan.daemons().length, old.some(isAlive)], [1, false]);
    }
    assert.deepEqual(lan.leases(), [address]);
    await lan.stack.must('rm', '-f', 'one');
    assert.deepEqual([lan.leases(), lan.stack.files()], [[], []]);
  });

  if (hasDeviceKind('macvlan')) {
    it('can be an own network', async () => {
      await lan.stack.must('network', 'create', '-d', 'macvlan', '-o', 'parent=mv0', '--ipam-driver', 'dhcp', 'ours');
      const given = await lan.run('mac', 'ours');
      assert.match(given, /^10\.94\.0\./);
      assert.deepEqual(lan.leases(), [given]);
      await execIn(lan.stack, 'mac', 'ping', '-c1', '-W5', '10.94.0.1');
      await lan.stack.must('rm', '-f', 'mac');
      assert.deepEqual([lan.leases(), lan.stack.files()], [[], []]);
    });
  }

  it('has a daemon that does not outlive the stack, and the next stack can take all back', async () => {
    await lan.run('last');
    const daemons = lan.daemons();
    assert.equal(daemons.length, 1);
    kill(lan.stack.started.pid);
    await waitFor(() => !daemons.some(isAlive), { what: 'the end of the daemon' });
    await lan.stack.started.ended;
    await using next = await startContainerStack({ home: lan.stack.home });
    await waitFor(async () => (await next.containers.inspect('last')).status === 'exited', { what: 'the end of last' });
    await next.must('rm', 'last');
    assert.deepEqual(next.files(), []);
  });
});
