/** What servers see of clients whose connections the parent makes by itself, with sockets of its pool. */
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { freePort, hostAddresses, openConnection, outcomeOf, startStack, waitFor } from '../../support/index.js';

const hosts = [hostAddresses.v4, hostAddresses.v6].filter((host) => host !== undefined);

/** Whom the server sees, and whom it should: the client's own address and port. */
async function seen(host: string, port: number): Promise<[seen: string, own: string]> {
  const socket = await openConnection(host, port);
  const own = `${socket.localAddress} ${socket.localPort}`;
  return [(await outcomeOf(socket)).data.toString(), own];
}

describe('the address of a client, with the pool', () => {
  for (const host of [...hosts, '127.0.0.1', '::1']) {
    it(`${host} is seen by the server, and its connections do not wait for a stopped agent`, async () => {
      await using stack = await startStack({ args: ['--net=none'] });
      const inside = await freePort('127.0.0.1');
      await using _server = await stack.program('tcp-server', 'client', '::', inside);
      const { port } = await stack.publish(`0:${inside}/tcp`);
      const agent = stack.below('child/agent.js')[0]?.pid ?? assert.fail('no agent');
      const loopback = !hosts.includes(host);
      const check = async () => {
        const [theirs, own] = await seen(host, port);
        if (loopback) assert.equal(theirs.replace(/ .*/s, ''), host);
        else assert.equal(theirs, own);
      };
      // The first ones go through the agent, until it has sent sockets.
      const descriptors = () => readdirSync(`/proc/${stack.started.pid}/fd`).length;
      const before = descriptors();
      const filled = async () => {
        await check();
        return descriptors() >= before + 8;
      };
      await waitFor(filled, { what: 'sockets in the pool' });
      process.kill(agent, 'SIGSTOP');
      try {
        for (let i = 0; i < 5; i++) await check();
      } finally {
        process.kill(agent, 'SIGCONT');
      }
    });
  }
});
