import assert from 'node:assert/strict';
import type { StackEvent } from '../../../../protocol/api/types.js';
import {
  binPath,
  echo,
  openConnection,
  outcomeOf,
  type RunningStack,
  type Started,
  start,
  tcpOutcome,
  tcpRequest,
  udpAsk,
  waitFor,
} from '../../../support/index.js';
import { ECHO, type Group, newPort, serverAddress, withStack } from './common.js';

export const observation: Group = (suite) => {
  const at = serverAddress(suite);
  if (!suite.capabilities.observable) return;
  describe('counters and events', () => {
    const stack = withStack(suite, async (running) => [
      await running.program('tcp-server', 'echo', at, ECHO),
      await running.program('udp-server', 'echo', at, ECHO),
    ]);

    it('list-ports --counters shows how much was sent in each direction', async () => {
      const port = newPort();
      await using _server = await stack().program('tcp-server', 'digest', at, port);
      const published = await stack().publish(`127.0.0.2:0:${port}`);
      await tcpRequest('127.0.0.2', published.port, Buffer.alloc(123_456));
      await tcpRequest('127.0.0.2', published.port, Buffer.alloc(1));
      const open = await openConnection('127.0.0.2', published.port);
      // What was sent is counted a moment after it has arrived.
      await waitFor(async () => {
        const { open, bytesOut } = await stack().counters(published.id);
        return open === 1 && bytesOut >= 128;
      });
      const { code, stdout, stderr } = await stack().ctl('list-ports', '--counters', '--json');
      assert.equal(code, 0, stderr);
      assert.deepEqual(JSON.parse(stdout), {
        id: published.id,
        spec: { proto: 'tcp', parentIP: '127.0.0.2', parentPort: published.port, childPort: port },
        listener: { state: 'listening' },
        counters: { open: 1, opened: 3, refused: 0, bytesIn: 123_457, bytesOut: 128 },
      });
      open.destroy();
    });

    it('counts what goes over UDP', async () => {
      const published = await stack().publish(`127.0.0.2:0:${ECHO}/udp`);
      await udpAsk('127.0.0.2', published.port, Buffer.alloc(1000));
      await udpAsk('127.0.0.2', published.port, Buffer.alloc(500));
      await waitFor(async () => (await stack().counters(published.id)).bytesOut >= 1500);
      assert.deepEqual(await stack().counters(published.id), {
        open: 2,
        opened: 2,
        refused: 0,
        bytesIn: 1500,
        bytesOut: 1500,
      });
    });

    it('rootlessctl events prints ports and connections', async () => {
      await using following = await followEvents(stack());
      const published = await stack().publish(`127.0.0.2:0:${ECHO}`);
      const refusing = await stack().publish(`127.0.0.2:0:${newPort()}`);
      const socket = await openConnection('127.0.0.2', published.port);
      const client = `127.0.0.1:${socket.localPort}`;
      await echo(socket, 'twelve bytes');
      const outcome = outcomeOf(socket);
      socket.end();
      await outcome;
      await tcpOutcome('127.0.0.2', refusing.port);
      await stack().api.removePort(published.id);
      const events = () =>
        following
          .output()
          .split('\n')
          .filter(Boolean)
          .map((line) => JSON.parse(line) as StackEvent);
      const of = (type: StackEvent['type'], id: number) =>
        events().find((event) => {
          const port = 'id' in event ? event.id : 'port' in event ? event.port : undefined;
          return event.type === type && port === id;
        });
      await waitFor(() => of('port-removed', published.id), { what: 'the last event' });

      const added = of('port-added', published.id);
      assert.deepEqual(added && { ...added, time: 0 }, {
        time: 0,
        type: 'port-added',
        id: published.id,
        spec: { proto: 'tcp', parentIP: '127.0.0.2', parentPort: published.port, childPort: ECHO },
      });
      const opened = of('connection-opened', published.id);
      assert.ok(opened?.type === 'connection-opened');
      assert.equal(opened.client, client);
      const closed = of('connection-closed', published.id);
      assert.deepEqual(closed && { ...closed, time: 0 }, {
        time: 0,
        type: 'connection-closed',
        port: published.id,
        connection: opened.connection,
        bytesIn: 12,
        bytesOut: 12,
      });
      const refused = of('connection-refused', refusing.id);
      assert.ok(refused?.type === 'connection-refused');
      assert.match(refused.reason, /refused/i);
      for (const event of events()) assert.ok(Math.abs(event.time - Date.now()) < 600_000, JSON.stringify(event));
    });
  });
};

/** rootlessctl events, when it is sure to receive what comes. */
async function followEvents(stack: RunningStack): Promise<Started> {
  // Nothing shows that the stream is there except what comes through it.
  let received = false;
  const speak = async () => {
    while (!received) {
      const { id } = await stack.publish(`127.0.0.2:0:${ECHO}`);
      await stack.api.removePort(id);
    }
  };
  const speaking = speak();
  try {
    const words = [`--socket=${stack.api.socketPath}`, 'events', '--json'];
    return await start(binPath('rootlessctl'), words, { ready: { output: /\n/ } });
  } finally {
    received = true;
    await speaking;
  }
}
