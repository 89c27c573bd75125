import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  freePort,
  hostAddresses,
  pseudoRandomHash,
  type RunningStack,
  startStack,
  waitFor,
} from '../../support/index.js';

/** Whether users can make VXLAN devices in namespaces of theirs. */
const hasVXLAN =
  spawnSync('unshare', ['-Urn', 'ip', 'link', 'add', 'vx0', 'type', 'vxlan', 'id', '1', 'dstport', '4789']).status ===
  0;
const { v4 } = hostAddresses;

const SIZE = 8 * 1024 * 1024;

if (hasVXLAN && v4 !== undefined) {
  describe('stacks of several hosts, with VXLAN through published ports', () => {
    /** A "host": a stack with a network to the outside of its own, whose VXLAN port is published. */
    async function startHost(number: number, port: number, peerPort: number): Promise<RunningStack> {
      const stack = await startStack({ args: ['--net=slirp4netns'], publish: [`${v4}:${port}:4789/udp`] });
      const script = `
        ip link add vx0 address 02:00:00:00:00:0${number} type vxlan id 42 dstport 4789 nolearning
        bridge fdb append 00:00:00:00:00:00 dev vx0 dst ${v4} port ${peerPort}
        ip link set vx0 mtu 1450 up
        ip addr add 10.99.0.${number}/24 dev vx0
        echo '10.99.0.1 one\n10.99.0.2 two' >> /etc/hosts`;
      assert.deepEqual(await stack.enter('sh', '-euc', script), { code: 0, signal: null, stdout: '', stderr: '' });
      return stack;
    }
    const reaches = async (stack: RunningStack, ...words: string[]) =>
      (await stack.enter('ping', '-c', '1', '-W', '2', ...words)).code === 0;

    it('reach each other by name, with packets as large as they may be, in bulk, and after a restart', async () => {
      const ports = [await freePort(v4), await freePort(v4)] as const;
      await using one = await startHost(1, ports[0], ports[1]);
      await using two = await startHost(2, ports[1], ports[0]);
      await waitFor(() => reaches(one, 'two'), { what: 'the way to the other host' });
      assert.equal(await reaches(two, 'one'), true);
      // 1450 less the heads of IP and ICMP.
      assert.equal(await reaches(one, '-M', 'do', '-s', '1422', 'two'), true);
      assert.equal(await reaches(one, '-M', 'do', '-s', '1423', 'two'), false);

      await using _server = await two.program('tcp-server', 'source', '0.0.0.0', 5000, SIZE);
      const sum = await one.enter('sh', '-c', 'socat -u TCP:two:5000 - | sha256sum');
      assert.equal(sum.stdout.split(' ')[0], pseudoRandomHash(SIZE));

      await two.started.stop('SIGKILL');
      await using again = await startHost(2, ports[1], ports[0]);
      await waitFor(() => reaches(one, 'two'), { what: 'the other host after its restart' });
      assert.equal(await reaches(again, 'one'), true);
    });
  });
}
