import assert from 'node:assert/strict';
import { type ContainerStack, execIn, startContainer, startContainerStack } from '../../support/containers.js';
import { freePort, hostAddresses, openConnection, outcomeOf, udpAsk, waitFor } from '../../support/index.js';

const { v4 } = hostAddresses;

if (v4 !== undefined) {
  describe('the address of a client of a container', () => {
    let stack: ContainerStack;
    before(async () => {
      stack = await startContainerStack();
    });
    after(() => stack?.[Symbol.asyncDispose]());

    /** Says who asks, over TCP and UDP; with the host's socat, since busybox has nothing that does. */
    const say = 'SYSTEM:"echo $SOCAT_PEERADDR $SOCAT_PEERPORT"';
    const server = [
      'sh',
      '-c',
      `trap 'exit 0' TERM; socat UDP-RECVFROM:80,fork '${say}' & socat TCP-LISTEN:80,fork '${say}' & wait $!`,
    ];
    const mounts = ['/usr:/usr:ro', '/usr/lib:/lib:ro', '/usr/lib64:/lib64:ro'];

    async function publish(networks: string[] = []): Promise<{ name: string; port: number }> {
      const port = await freePort('0.0.0.0');
      const publish = (['tcp', 'udp'] as const).map((protocol) => ({
        hostIP: '',
        hostPort: port,
        containerPort: 80,
        protocol,
      }));
      const network = { mode: 'networks' as const, networks: networks.map((name) => ({ network: name })) };
      const { name } = await startContainer(stack, { publish, network, command: server, mounts });
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
      const rules = async () => (await stack.enter(['ip', 'rule'])).stdout;
      assert.match(await rules(), /from 10\.4\.\d+\.\d+ iif rootless0 ipproto tcp sport 80 /);
      await stack.must('rm', '-f', name);
      await waitFor(async () => !(await rules()).includes('sport'), { what: 'the rules to go' });
    });

    it('is that of the bridge where answers would not come back: from networks without a way out', async () => {
      await stack.must('network', 'create', '--internal', 'inner');
      const { name, port } = await publish(['inner']);
      assert.match((await seenOverTCP(v4, port))[0], /^10\.4\.\d+\.1 /);
      await stack.must('rm', '-f', name);
      await stack.must('network', 'rm', 'inner');
    });
  });
}
