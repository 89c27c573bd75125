import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { Overlays } from '../../../../parent/overlay/overlays.js';
import { formatToken, parseToken } from '../../../../protocol/overlay/token.js';
import type { OverlayFailure, OverlayState } from '../../../../protocol/overlay/types.js';
import { generateKeys, generatePresharedKey } from '../../../../protocol/wireguard/keys.js';
import { tempDir, waitFor } from '../../../support/index.js';

/** The networks of a stack whose agent and ports only note what they are asked for. */
function makeOverlays() {
  const root = tempDir();
  const applied: string[][] = [];
  const warnings: string[] = [];
  const open = new Set<number>();
  const agent = {
    failures: [] as OverlayFailure[],
    remove: async (_: string) => {},
    status: async () => [],
    async apply(states: readonly OverlayState[]) {
      applied.push(states.map(({ network }) => network));
      return agent.failures;
    },
  };
  let peers: string[] = [];
  const overlays = new Overlays({
    ...{ root, agent, ready: async () => {}, warn: (line) => warnings.push(line) },
    allowPeers: (members) => {
      peers = members.map(({ address, port }) => `${address} ${port}`);
    },
    ports: {
      async open(port) {
        open.add(port);
        return { close: async () => void open.delete(port) };
      },
    },
  });
  const create = (name: string) =>
    overlays.join({ name, static: true, address: '192.0.2.1', port: 51820 + applied.length });
  return { overlays, agent, applied, warnings, open, root, create, peers: () => peers };
}

const otherMember = (subnet: string) => ({
  ...{ host: randomUUID(), name: 'other', publicKey: generateKeys().publicKey, address: '192.0.2.2', port: 51820 },
  subnets: [subnet],
});

describe('the overlay networks of a stack', () => {
  it('fail one by one: what the agent cannot set up of one is not said of others', async () => {
    const { overlays, agent, create, warnings, open } = makeOverlays();
    await create('one');
    await create('two');
    agent.failures = [{ network: 'two', problem: 'no WireGuard' }];
    await assert.rejects(create('two'), /already/);
    await create('three');
    const conditions = (await overlays.list()).map(({ name, condition }) => [name, condition]);
    assert.deepEqual(conditions, [
      ['one', 'ready'],
      ['two', 'failed'],
      ['three', 'ready'],
    ]);
    assert.deepEqual(warnings, ['the network two: no WireGuard']);
    agent.failures = [{ network: 'four', problem: 'no WireGuard' }];
    await assert.rejects(create('four'), /no WireGuard/);
    assert.deepEqual([(await overlays.list()).length, open.size], [3, 3]);
    await overlays.close();
    assert.equal(open.size, 0);
  });

  it('are not set up again by a change while they are left, and are where containers use them', async () => {
    const { overlays, agent, applied, create, root } = makeOverlays();
    await create('one');
    await create('two');
    // It is tried again whenever something may have changed.
    agent.failures = [{ network: 'two', problem: 'no WireGuard' }];
    await create('three');
    let end: ((error?: Error) => void) | undefined;
    agent.remove = () =>
      new Promise((resolve, reject) => {
        end = (error) => (error ? reject(error) : resolve());
      });
    const leave = async (error?: Error) => {
      const leaving = overlays.leave('one').catch((reason: Error) => reason.message);
      const removed = await waitFor(() => end, { what: 'the request to the agent' });
      end = undefined;
      applied.length = 0;
      overlays.lookAround();
      await waitFor(() => applied.length > 0, { what: 'a change' });
      assert.deepEqual(applied, [['two', 'three']]);
      removed(error);
      return leaving;
    };
    assert.equal(await leave(new Error('in use by the container web')), 'in use by the container web');
    await waitFor(() => String(applied.at(-1)) === 'one,two,three', { what: 'it to be there again' });
    await leave();
    assert.deepEqual([applied.at(-1), existsSync(join(root, 'one'))], [['two', 'three'], false]);
    await overlays.close();
  });

  it('open the egress policy for their members, and leave nothing of a token that is refused', async () => {
    const { overlays, create, peers, root } = makeOverlays();
    const { token } = await create('one');
    const own = parseToken(token);
    assert(own.kind === 'static');
    await overlays.join({ token: formatToken({ ...own, members: [...own.members, otherMember('10.50.7.0/24')] }) });
    assert.deepEqual(peers(), ['192.0.2.2 51820']);
    const stranger = { ...own, name: 'strange', presharedKey: generatePresharedKey() };
    for (const subnet of ['0.0.0.0/0', '10.0.2.0/24']) {
      const wrong = formatToken({ ...stranger, members: [otherMember(subnet)] });
      await assert.rejects(overlays.join({ token: wrong }), /is not a share of 10\.50\.0\.0\/16/);
    }
    assert.equal(existsSync(join(root, 'strange')), false);
    await overlays.leave('one');
    assert.deepEqual(peers(), []);
    await overlays.close();
  });
});
