import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer } from 'node:net';
import { listFlows } from '../../../../parent/flows/index.js';
import { parsePortSpec } from '../../../../protocol/ports/grammar.js';

/** A generous limit, since the machine may be slow. */
const PATIENCE = 60_000;

describe('the list of flows', () => {
  it('has both directions, their programs, and clean names', async () => {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const socket = connect(port, '127.0.0.1');
    await once(socket, 'connect');
    try {
      const client = `127.0.0.1:${socket.localPort}`;
      const destination = `127.0.0.1:${port}`;
      const outbound = {
        connection: 7,
        protocol: 'tcp',
        client,
        destination,
        host: '192.0.2.1:443',
        name: 'a\u001b[31m.example',
        bytesSent: 1,
        bytesReceived: 2,
        age: 1000,
        state: 'half-closed',
      } as const;
      const inbound = {
        port: 4,
        protocol: 'tcp',
        connection: 3,
        client: '192.0.2.7:5',
        bytesIn: 3,
        bytesOut: 4,
        age: 9000,
        state: 'open',
        source: 'client',
      } as const;
      const published = { id: 3, ...parsePortSpec(`127.0.0.2:8080-8081:${port - 1}-${port}`) };
      const flows = await listFlows(
        {
          engine: { outboundFlows: () => [outbound], portFlows: () => [inbound, { ...inbound, port: 99 }] },
          ports: () => [published],
          root: process.pid,
          containers: async () => [{ name: 'web', pid: process.pid }],
          patience: PATIENCE,
        },
        10,
      );
      const program = { pid: process.pid, name: flows[0]?.program?.name };
      assert.deepEqual(
        flows.map(({ since, ...flow }) => (Number.isInteger(since) ? flow : since)),
        [
          {
            protocol: 'tcp',
            direction: 'in',
            connection: 3,
            port: 4,
            client: '192.0.2.7:5',
            destination: `:${port}`,
            host: '127.0.0.2:8081',
            bytesSent: 4,
            bytesReceived: 3,
            verdict: 'allowed',
            state: 'open',
            source: 'client',
            program,
            container: 'web',
          },
          {
            protocol: 'tcp',
            direction: 'out',
            connection: 7,
            client,
            destination,
            host: '192.0.2.1:443',
            name: 'a [31m.example',
            bytesSent: 1,
            bytesReceived: 2,
            verdict: 'allowed',
            state: 'half-closed',
            program,
            container: 'web',
          },
        ],
      );
    } finally {
      socket.destroy();
      server.close();
    }
  });

  it('is there without programs where these cannot be found', async () => {
    const inbound = {
      port: 1,
      protocol: 'udp',
      connection: 3,
      client: '192.0.2.7:5',
      bytesIn: 3,
      bytesOut: 4,
      age: 9,
      state: 'unanswered',
      source: '',
    } as const;
    const [flow] = await listFlows(
      {
        engine: { outboundFlows: () => [], portFlows: () => [inbound] },
        ports: () => [{ id: 1, ...parsePortSpec('53:53/udp') }],
        // No process has that pid.
        root: 2 ** 30,
        containers: async () => [],
      },
      10,
    );
    assert.equal(flow?.program, undefined);
    assert.equal(flow?.client, '192.0.2.7:5');
  });
});
