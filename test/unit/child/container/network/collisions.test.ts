import assert from 'node:assert/strict';
import { Collisions } from '../../../../../child/container/network/collisions.js';
import type { Network } from '../../../../../child/container/network/network.js';

function network(name: string, subnet: string): Network {
  const ipam = { type: 'host-local', ranges: [[{ subnet }]] };
  const list = { cniVersion: '1.0.0', name, plugins: [{ type: 'bridge', ipam }] };
  return { name, id: name, driver: 'bridge', own: true, file: `/${name}`, list, labels: {}, forced: false, egress: [] };
}

describe('networks that the host reaches by routes of its own', () => {
  it('are reported once, each with another subnet to move to', async () => {
    const lines: string[] = [];
    const networks = [
      network('bridge', '10.4.0.0/24'),
      network('back', '10.4.1.0/24'),
      network('far', '172.30.0.0/24'),
    ];
    const vpn = { subnet: '10.4.0.0/16', what: "the host's route 10.4.0.0/16 dev tun0" };
    const collisions = new Collisions(
      { list: async () => networks },
      async () => [vpn],
      (line) => lines.push(line),
    );
    await collisions.report();
    await collisions.report();
    assert.deepEqual(
      lines.map((line) => /network (\S+) overlaps .*dev tun0, .*; hint: .* --subnet (\S+)$/.exec(line)?.slice(1)),
      [
        ['bridge', '10.5.0.0/24'],
        ['back', '10.5.1.0/24'],
      ],
    );
  });
});
