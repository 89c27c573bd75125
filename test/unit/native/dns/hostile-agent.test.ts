/** What an agent may send of DNS servers: queries for the host's resolvers, and sockets to keep. */

import assert from 'node:assert/strict';
import { openSync, readdirSync, readlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pack } from 'msgpackr';
import { encodeMessage } from '../../../../protocol/wire/messages.js';
import { tempDir, waitFor } from '../../../support/index.js';
import { HostilePair } from '../../../support/stacks/engine-side.js';
import { encodeDns } from '../../../support/traffic/dns.js';

const query = encodeDns({ name: ['one', 'example'] }).toString('latin1');
const nothing = () => openSync('/dev/null', 'r');

/** How many descriptors of this process are of that file. */
const openOf = (path: string) =>
  readdirSync('/proc/self/fd').filter((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`) === path;
    } catch {
      return false;
    }
  }).length;

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

  it('have queries answered whatever they are, and a limited number of sockets kept for the next agent', async () => {
    using pair = await HostilePair.make();
    // In place of sockets, so that no other descriptor of this process counts.
    const path = join(tempDir(), 'socket');
    writeFileSync(path, '');
    for (let i = 0; i < 150; i++) pair.send(pack([9, `udp ${i}`]), [openSync(path, 'r')]);
    for (let i = 0; i < 1500; i++) pair.send(pack([7, i, i & 1, '10.4.0.2', i % 3 === 0 ? query : 'noise']));
    pair.send(encodeMessage({ type: 'log', level: 'debug', text: 'the last packet' }));
    await pair.parent.wait('message', 2);
    await waitFor(() => openOf(path) === 128, { what: 'the others to be closed' });
    await pair.newAgent();
    // Both have them then.
    await waitFor(() => openOf(path) === 2 * 128, { what: 'the next agent to have them' });
    for (let i = 0; i < 300; i++) pair.send(pack([9, `udp ${i}`]));
    pair.agent.engine.nameServersSettled();
    await waitFor(() => openOf(path) === 0, { what: 'all to be closed' });
    // That of the agent that was replaced.
    assert.equal(pair.parent.of('channel-closed').length, 1);
  });
});
