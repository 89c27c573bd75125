/** What an agent may send of DNS servers: queries for the host's resolvers, and sockets to keep. */

import assert from 'node:assert/strict';
import { openSync } from 'node:fs';
import { pack } from 'msgpackr';
import { HostilePair } from '../../../support/stacks/engine-side.js';
import { encodeDns } from '../../../support/traffic/dns.js';

const query = encodeDns({ name: ['one', 'example'] }).toString('latin1');
const nothing = () => openSync('/dev/null', 'r');

describe("an agent's DNS servers, seen from the parent", () => {
  it('end the conversation where a packet is invalid', async () => {
    using pair = await HostilePair.make();
    let ended = 0;
    for (const [packet, fds] of [
      [pack([7]), 0],
      [pack([7, 1, 2, '10.4.0.2', query]), 0],
      [pack([7, 1, 0, 'nobody', query]), 0],
      [pack([7, 1, 0, '10.4.0.2']), 0],
      [pack([7, 1, 0, '10.4.0.2', query]), 1],
      [pack([7, 1, 'reply']), 0],
      [pack([9]), 0],
      [pack([9, 'x'.repeat(65)]), 0],
      [pack([9, 'two']), 2],
    ] as const) {
      pair.send(packet, Array.from({ length: fds }, nothing));
      const { reason } = await pair.parent.wait('channel-closed', ++ended);
      assert.match(reason, /invalid packet/, packet.toString('hex'));
      await pair.newAgent();
    }
  });
});
