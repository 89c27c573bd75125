import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import {
  freePort,
  hostAddresses,
  openConnection,
  outcomeOf,
  tcpOutcome,
  udpAsk,
  waitFor,
} from '../../../support/index.js';
import { execIn, HOST_PROGRAMS, startContainer } from '../../../support/stacks/containers.js';
import { withContainerStack } from '../../../support/stacks/with-stack.js';
import { containedInitiator } from '../../../support/traffic/initiator.js';

const { v4 } = hostAddresses;

if (v4 !== undefined) {
  describe('the address of a client of a container', () => {
    const stack = withContainerStack({ keep: true });

    async function publish(networks: string[] = []): Promise<{ name: string; port: number }> {
      const port = await freePort('0.0.0.0');
      const publish = (['tcp', 'udp'] as const).map((protocol) => ({
        hostIP: '',
        hostPort: port,
        containerPort: 80,
        protocol,
      }));
      const network = { mode: 'networks' as const, networks: networks.map((name) => ({ network: name })) };
      const { name } = await startContainer(stack, {
        publish,
        network,
        command: containedInitiator('0.0.0.0', 80),
        mounts: HOST_PROGRAMS,
      });
      const listening = async () =>
        (await execIn(stack, name, 'cat', '/proc/net/tcp', '/proc/net/udp')).match(/:0050 /g);
      await waitFor(async () => (await listening())?.length === 2, { what: 'the servers' });
      return { name, port };
    }
    async function seenOverTCP(host: string, port: number): Promise<[seen: string, own: string]> {
      const socket = await openConnection(host, port);
      const own = `${socket.localAddress} ${socket.localPort}`;
      return [(await outcomeOf(socket)).data.toString().trim(), own];
    }

    it('is seen there, over TCP and UDP; loopback is seen as the bridge', async () => {
      const { name, port } = await publish();
      for (let time = 0; time < 2; time++) {
        const [seen, own] = await seenOverTCP(v4, port);
        assert.equal(seen, own);
        const from = await freePort(v4);
        assert.equal((await udpAsk(v4, port, 'who', v4, from)).toString().trim(), `${v4} ${from}`);
      }
      assert.match((await seenOverTCP('127.0.0.1', port))[0], /^10\.4\.\d+\.1 /);
      await stack.must('rm', '-f', name);
    });

    it('does not keep a refusal from the client, over TCP and UDP', async () => {
      const port = await freePort('0.0.0.0');
      const publish = (['tcp', 'udp'] as const).map((protocol) => ({
        hostIP: '',
        hostPort: port,
        containerPort: 80,
        protocol,
      }));
      const { name } = await startContainer(stack, { publish });
      assert.equal((await tcpOutcome(v4, port)).error, 'ECONNRESET');
      const client = createSocket('udp4');
      client.send('anybody there?', port, v4);
      const refused = async () => {
        const ports = await stack.api.listPorts({ counters: true });
        return ports.filter(({ counters }) => counters?.refused === 1).length === 2;
      };
      await waitFor(refused, { what: 'both refusals' });
      client.close();
      await stack.must('rm', '-f', name);
    });

    it('is that of the bridge where answers would not come back: from networks without a route to the outside', async () => {
      await stack.must('network', 'create', '--internal', 'inner');
      const { name, port } = await publish(['inner']);
      assert.match((await seenOverTCP(v4, port))[0], /^10\.4\.\d+\.1 /);
      await stack.must('rm', '-f', name);
      await stack.must('network', 'rm', 'inner');
    });
  });
}
