import assert from 'node:assert/strict';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { Ipam } from '../../../../../../child/container/network/ipam/ipam.js';
import type { IpamRange } from '../../../../../../protocol/net/host-local.js';
import { run, tempDir } from '../../../../../support/index.js';

/** The plugin itself, where Debian's package containernetworking-plugins has it. */
const HOST_LOCAL = '/usr/lib/cni/host-local';

function setup(rangeSets: IpamRange[][]) {
  const dataDir = tempDir();
  const ipam = new Ipam(dataDir);
  const plugin = async (command: string, containerId: string, args = ''): Promise<string> => {
    const { code, stdout } = await run(HOST_LOCAL, [], {
      env: {
        CNI_COMMAND: command,
        CNI_CONTAINERID: containerId,
        CNI_IFNAME: 'eth0',
        CNI_NETNS: '/proc/self/ns/net',
        CNI_PATH: '/usr/lib/cni',
        CNI_ARGS: args,
      },
      input: JSON.stringify({
        cniVersion: '1.0.0',
        name: 'net1',
        type: 'bridge',
        ipam: { type: 'host-local', dataDir, ranges: rangeSets },
      }),
    });
    const answer: { ips?: { address: string }[]; msg?: string } = stdout === '' ? {} : JSON.parse(stdout);
    if (code !== 0) throw new Error(answer.msg);
    return (answer.ips ?? []).map(({ address }) => address).join(' ');
  };
  const ours = async (containerId: string, requested: string[] = []): Promise<string> => {
    const got = await ipam.reserve({ network: 'net1', containerId, ifname: 'eth0', rangeSets, requested });
    return got.map(({ address }) => address).join(' ');
  };
  return { ipam, path: join(dataDir, 'net1'), plugin, ours };
}

if (existsSync(HOST_LOCAL)) {
  describe('IPAM beside the real host-local', () => {
    const both: IpamRange[][] = [[{ subnet: '10.4.1.0/24' }], [{ subnet: 'fd00:0:0:1::/64' }]];

    it('takes turns with it', async () => {
      const { plugin, ours } = setup(both);
      assert.equal(await plugin('ADD', 'a'), '10.4.1.2/24 fd00:0:0:1::2/64');
      assert.equal(await ours('b'), '10.4.1.3/24 fd00:0:0:1::3/64');
      assert.equal(await plugin('ADD', 'c'), '10.4.1.4/24 fd00:0:0:1::4/64');
    });

    it('keeps what it reserved, and vice versa', async () => {
      const { plugin, ours } = setup(both);
      const a = await plugin('ADD', 'a');
      assert.equal(await ours('a'), a);
      await assert.rejects(ours('b', ['10.4.1.2']), /container a has it/);
      await ours('b');
      await plugin('CHECK', 'b');
      await assert.rejects(plugin('ADD', 'b'), /10\.4\.1\.3 has been allocated to b/);
      await assert.rejects(plugin('ADD', 'c', 'IP=10.4.1.3'), /not available/);
    });

    it('releases what it reserved, and vice versa', async () => {
      const { ipam, path, plugin, ours } = setup(both);
      await plugin('ADD', 'a');
      await ours('b');
      assert.deepEqual(await ipam.release('net1', 'a', 'eth0'), ['10.4.1.2', 'fd00:0:0:1::2']);
      await plugin('DEL', 'b');
      assert.deepEqual(await ipam.list('net1'), []);
      assert.deepEqual(readdirSync(path).sort(), ['last_reserved_ip.0', 'last_reserved_ip.1', 'lock']);
    });

    it('names files of equal IPv6 addresses equally', async () => {
      for (const [start, canonical] of [
        ['fd00::1:0:0:9', 'fd00::1:0:0:9'],
        ['fd00::0:1:0:9', 'fd00::1:0:9'],
        ['fd00:0::1:0:0:0:10', 'fd00:0:0:1::10'],
        ['fd00:0:1:1:1:1:1:a', 'fd00:0:1:1:1:1:1:a'],
      ] as const) {
        const rangeSets = [[{ subnet: 'fd00::/16', rangeStart: start }]];
        const files = await Promise.all(
          [true, false].map(async (real) => {
            const { path, plugin, ours } = setup(rangeSets);
            await (real ? plugin('ADD', 'a') : ours('a'));
            return readdirSync(path).filter((name) => name.includes(':'));
          }),
        );
        assert.deepEqual(files, [[canonical], [canonical]]);
      }
    });

    it('ends where it ends', async () => {
      const { plugin, ours } = setup([[{ subnet: '10.4.1.0/29' }]]);
      for (const id of ['a', 'c']) {
        await plugin('ADD', id);
        await ours(`${id}-ours`);
      }
      assert.equal(await ours('e'), '10.4.1.6/29');
      await assert.rejects(plugin('ADD', 'f'), /no IP addresses available/);
      await assert.rejects(ours('f'), /no IP addresses available/);
    });

    it('shares the lock with it', async () => {
      const { ipam, plugin, ours } = setup(both);
      const got = await Promise.all(
        Array.from({ length: 40 }, (_, index) => (index % 2 === 0 ? ours(`c${index}`) : plugin('ADD', `c${index}`))),
      );
      assert.equal(new Set(got).size, 40);
      assert.equal((await ipam.list('net1')).length, 80);
    });
  });
}
