import assert from 'node:assert/strict';
import { freePort, hostAddresses, tcpOutcome, udpAsk, waitFor } from '../../../support/index.js';
import { addressOf, HOST_PROGRAMS, onNetworks, startContainer, tryIn } from '../../../support/stacks/containers.js';
import { seers } from '../../../support/traffic/peer-seers.js';

/** Asks each address, and prints those that answer over TCP or UDP. */
const ASK = pythonProgram('processes/ask-around');

import { pythonProgram } from '../../../support/paths.js';
import { withContainerStack } from '../../../support/stacks/with-stack.js';

describe('what listens in the namespace of the stack', () => {
  const stack = withContainerStack({ keep: true });
  before(async () => {
    await stack.must('network', 'create', '--ipv6', 'open');
    await stack.must('network', 'create', '--ipv6', '--internal', 'inner');
    await stack.must('network', 'create', '--ipv6', '--no-icc', 'apart');
  });

  it('is not reached from internal networks, nor from those whose containers are isolated, by any address', async () => {
    await startContainer(stack, {
      name: 'listener',
      network: { mode: 'host' },
      command: seers('46:9000'),
      mounts: HOST_PROGRAMS,
    });
    const hosts = [hostAddresses.v4, hostAddresses.v6].filter((host) => host !== undefined);
    const ports = new Map<string, number>();
    const gateways: string[] = [];
    for (const network of ['open', 'inner', 'apart']) {
      const port = await freePort('0.0.0.0');
      ports.set(network, port);
      const publish = (['tcp', 'udp'] as const).map((protocol) => ({
        hostIP: '',
        hostPort: port,
        containerPort: 80,
        protocol,
      }));
      const command = seers('46:80');
      const request = { name: network, network: onNetworks(network), publish, command, mounts: HOST_PROGRAMS };
      const report = await startContainer(stack, request);
      gateways.push(
        addressOf(report, network).replace(/\d+$/, '1'),
        addressOf(report, network, 6).replace(/:[^:]+$/, ':1'),
      );
    }
    const { stdout } = await stack.enter(['ip', '-6', '-o', 'addr', 'show', 'scope', 'link', 'type', 'bridge']);
    const linkLocal = /inet6 (fe80[^/]+)/.exec(stdout)?.[1] ?? assert.fail(stdout);
    const asked = [...gateways, `${linkLocal}%eth0`];
    const listening = () => stack.enter(['ss', '-Hlntu', 'sport', '9000']);
    await waitFor(async () => (await listening()).stdout.split('\n').length > 2, { what: 'the listener' });

    const answers = async (name: string) => (await tryIn(stack, name, 'python3', '-c', ASK, ...asked)).output.trim();
    const [open = '', ...closed] = await Promise.all(['open', 'inner', 'apart'].map(answers));
    assert.deepEqual(closed, ['', '']);
    // As with docker and podman; what is on another network's bridge is the same namespace's.
    for (const gateway of gateways.slice(0, 2)) assert.match(open, new RegExp(`tcp ${gateway}.*udp ${gateway}`));

    for (const [network, port] of ports) {
      for (const host of ['127.0.0.1', '::1', ...hosts]) {
        const seen = [(await tcpOutcome(host, port)).data.toString(), (await udpAsk(host, port, 'who')).toString()];
        const isKept = network !== 'inner' && hosts.includes(host);
        for (const whom of seen) {
          assert.match(
            whom,
            isKept ? new RegExp(`^${host} `) : /^(10\.4\.\d+\.1|fd[0-9a-f:]+:1) /,
            `${network} ${host}`,
          );
        }
      }
    }
  });
});
