import assert from 'node:assert/strict';
import { near } from '../../../setup/machine/far-machine.js';
import {
  type Conversation,
  converse,
  here,
  type Machine,
  type Step,
  servePeers,
  there,
} from '../../../support/traffic/peers.js';
import { type Group, newPort, withStack } from './common.js';

/** Clients of every kind, and the addresses of the host that they ask. */
const clients: [name: string, host: string, machine: Machine][] = [
  ['on 127.0.0.1', '127.0.0.1', here],
  ['on ::1', '::1', here],
];
if (there) clients.push(['far away, IPv4', near.v4, there], ['far away, IPv6', near.v6, there]);

const SAYS: Step = ['send', 'hello'];
const HEARS: Step = ['receive', 5];

/** What the two sides do, and how it ends for them; as it does where nothing is between them. */
const cases: { name: string; client: Step[]; server: Step[]; ends: { client?: string; server?: string } }[] = [
  {
    name: 'a client that resets after it received something',
    client: [HEARS, ['reset']],
    server: [SAYS, ['drain']],
    ends: { server: 'ECONNRESET' },
  },
  {
    name: 'a server that resets after it received something',
    client: [SAYS, ['drain']],
    server: [HEARS, ['reset']],
    ends: { client: 'ECONNRESET' },
  },
  {
    name: 'a server that closes without reading',
    client: [SAYS, ['drain']],
    server: [['await'], ['close']],
    ends: { client: 'ECONNRESET' },
  },
  {
    name: 'a client that resets while its bytes are under way',
    client: [HEARS, ['fill'], ['reset']],
    server: [SAYS, ['hang']],
    ends: { server: 'ECONNRESET' },
  },
  {
    name: 'a client that resets while bytes for it are under way',
    client: [SAYS, ['receive', 1], ['reset']],
    server: [HEARS, ['fill'], ['hang']],
    ends: { server: 'ECONNRESET' },
  },
  {
    name: 'a server that resets while its bytes are under way',
    client: [['hang']],
    server: [['fill'], ['reset']],
    ends: { client: 'ECONNRESET' },
  },
  {
    name: 'a server that resets while bytes for it are under way',
    client: [['fill'], ['hang']],
    server: [['receive', 1], ['reset']],
    ends: { client: 'ECONNRESET' },
  },
  {
    name: 'a client that resets after it has ended its side',
    client: [['end'], HEARS, ['reset']],
    server: [['drain'], SAYS, ['hang']],
    // The kernel's word for the reset of a connection whose other end had closed already.
    ends: { server: 'EPIPE' },
  },
  {
    name: 'a server that resets after it has ended its side',
    client: [['drain'], SAYS, ['hang']],
    server: [['end'], HEARS, ['reset']],
    ends: { client: 'EPIPE' },
  },
];

export const ends: Group = (suite) => {
  if (!suite.capabilities.transparentEnds) return;
  describe('how connections end', () => {
    const stack = withStack(suite, async () => []);

    for (const { name, client, server, ends } of cases) {
      it(`is passed on: ${name}`, async () => {
        const port = newPort();
        const published = await stack().publish(`0:${port}`);
        await using peer = await servePeers(stack(), '::', port, server);
        for (const [who, host, machine] of clients) {
          const [end] = await converse(machine, { host, port: published.port, steps: client });
          assert.equal(end?.error, ends.client ?? null, `the client ${who}`);
          assert.equal((await peer.next()).error, ends.server ?? null, `the server of the client ${who}`);
        }
      });
    }

    for (const [who, host, machine] of clients) {
      it(`is a reset without a byte if no server is there, for a client ${who}, until one comes`, async () => {
        const port = newPort();
        const published = await stack().publish(`0:${port}`);
        const talk = { host, port: published.port, steps: [['drain']] } satisfies Conversation;
        for (const end of await converse(machine, talk, talk, talk)) {
          // The reset may be there before connect(2) returns.
          assert.match(end.error ?? '', /^(ECONNRESET|ECONNREFUSED)$/);
          assert.equal(end.length, 0);
          assert.equal(end.ended, false);
        }
        if (suite.capabilities.observable) {
          const { open, opened, refused } = await stack().counters(published.id);
          assert.deepEqual({ open, opened, refused }, { open: 0, opened: 0, refused: 3 });
        }
        await using _peer = await servePeers(stack(), '::', port, [SAYS, ['end']]);
        const [end] = await converse(machine, talk);
        assert.deepEqual([end?.data, end?.ended, end?.error], ['hello', true, null]);
      });
    }
  });
};
