import assert from 'node:assert/strict';
import { CollisionWatch } from '../../../../parent/network/host/collision-watch.js';
import type { HostNetwork } from '../../../../protocol/wire/messages.js';
import { waitFor } from '../../../support/index.js';

describe("the watch for the host's routes to the stack's network", () => {
  it('reports each once, and none that was there from the beginning', async () => {
    const host: HostNetwork[] = [{ subnet: '10.0.0.0/8', what: "the host's route 10.0.0.0/8 dev lan0" }];
    const lines: string[] = [];
    let asked = 0;
    const watch = new CollisionWatch({
      network: () => ({ driver: 'slirp4netns', dns: [], childIP: '10.0.2.100', prefix: 24 }),
      log: { debug: () => {}, warn: (line) => lines.push(line) },
      hostNetworks: () => {
        asked++;
        return host;
      },
    });
    try {
      const change = async () => {
        const before = asked;
        watch.changed();
        watch.changed();
        await waitFor(() => asked === before + 1, { what: 'another look' });
      };
      await change();
      assert.deepEqual(lines, []);
      host.unshift({ subnet: '10.0.2.0/23', what: "the host's route 10.0.2.0/23 dev tun0" });
      await change();
      await change();
      assert.equal(lines.length, 1);
      assert.match(lines[0] ?? '', /^the stack's own network 10\.0\.2\.0\/24 \(slirp4netns\) overlaps .* dev tun0, /);
    } finally {
      watch.close();
    }
  });
});
