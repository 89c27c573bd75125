import assert from 'node:assert/strict';
import { far, near } from '../../../setup/machine/far-machine.js';
import { freePort, waitFor } from '../../../support/index.js';
import { execIn, HOST_PROGRAMS, onNetworks, startContainer } from '../../../support/stacks/containers.js';
import { withContainerStack } from '../../../support/stacks/with-stack.js';
import { arrives, containedInitiator, order } from '../../../support/traffic/initiator.js';
import { askAll, converse, there } from '../../../support/traffic/peers.js';

const machine = there;

if (machine) {
  describe('what a container sends to a client unasked', () => {
    for (const net of ['slirp4netns', 'pasta']) {
      describe(`with --net=${net}`, () => {
        const stack = withContainerStack({ args: [`--net=${net}`, '--ipv6'], keep: true });
        before(async () => {
          // What leaves before that is masqueraded with the bridge's address, and so is what repeats it.
          const own = async () =>
            (await stack.enter(['ip', '-6', '-o', 'addr', 'show', 'scope', 'global', '-tentative'])).stdout;
          await waitFor(async () => (await own()) !== '', { what: "the network's IPv6 address" });
          await stack.must('network', 'create', '--ipv6', 'both');
        });

        for (const family of ['v4', 'v6'] as const) {
          it(`reaches it, whatever it has sent before (${family})`, async () => {
            const [client = ''] = far[family];
            const host = near[family];
            const [control, port] = [await freePort('127.0.0.1'), await freePort('0.0.0.0')];
            const { id } = await startContainer(stack, {
              publish: [
                { hostIP: '127.0.0.1', hostPort: control, containerPort: 5080, protocol: 'udp' },
                { hostIP: host, hostPort: port, containerPort: 5080, protocol: 'udp' },
                { hostIP: host, hostPort: port, containerPort: 5080, protocol: 'tcp' },
              ],
              network: onNetworks('both'),
              command: containedInitiator(family === 'v4' ? '0.0.0.0' : '::', 5080),
              mounts: HOST_PROGRAMS,
            });
            const listening = async () =>
              /:13D8 /.test(await execIn(stack, id, 'cat', '/proc/net/udp', '/proc/net/udp6'));
            await waitFor(listening, { what: 'the server' });
            const [asked] = await askAll(machine, [{ host, port, from: client, fromPort: 4201 }]);
            assert.deepEqual(asked?.answers, ['0']);
            const [talk] = await converse(machine, { host, port, from: client, fromPort: 4202, steps: [['drain']] });
            assert.equal(talk?.data, talk?.own);
            await arrives(control, 'udp', { machine, host: client, port: 4203 });
            await arrives(control, 'tcp', { machine, host: client, port: 4204 });
            assert.equal(await order(control, 'stray'), '');
            await stack.containers.remove(id, { force: true });
          });
        }
      });
    }
  });
}
