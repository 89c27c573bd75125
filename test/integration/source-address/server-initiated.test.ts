import assert from 'node:assert/strict';
import { far, near } from '../../setup/machine/far-machine.js';
import { freePort, type RunningStack, startStack, waitFor } from '../../support/index.js';
import { arrives, initiator, order, startPeer } from '../../support/traffic/initiator.js';
import { askAll, type Conversation, converse, there } from '../../support/traffic/peers.js';

const machine = there;

if (machine) {
  describe('what a server sends to a client unasked', () => {
    for (const net of ['builtin', 'slirp4netns', 'pasta']) {
      describe(`with --net=${net}`, () => {
        let stack: RunningStack;
        before(async () => {
          stack = await startStack({ args: [`--net=${net}`, '--ipv6'] });
        });
        after(() => stack?.[Symbol.asyncDispose]());

        for (const family of ['v4', 'v6'] as const) {
          const [client = ''] = far[family];
          const host = near[family];
          const listen = family === 'v4' ? '0.0.0.0' : '::';

          it(`reaches another port of it over UDP, and the same one when its flow has ended (${family})`, async () => {
            const inside = await freePort('127.0.0.1');
            await using _server = await stack.inside(initiator(listen, inside), { output: /^ready$/m });
            const control = await stack.publish(`127.0.0.1:0:${inside}/udp`);
            const published = await stack.publish(`0:${inside}/udp`);
            const [asked] = await askAll(machine, [{ host, port: published.port, from: client, fromPort: 4101 }]);
            assert.deepEqual(asked?.answers, ['0']);
            assert.equal((await stack.report(published.id)).source, 'client');
            await arrives(control.port, 'udp', { machine, host: client, port: 4102 });
            await stack.api.removePort(published.id);
            await arrives(control.port, 'udp', { machine, host: client, port: 4101 });
            assert.equal(await order(control.port, 'stray'), '');
          });

          it(`reaches it over TCP, from the port that the server listens on (${family})`, async () => {
            const inside = await freePort('127.0.0.1');
            await using _server = await stack.inside(initiator(listen, inside), { output: /^ready$/m });
            const control = await stack.publish(`127.0.0.1:0:${inside}/udp`);
            const published = await stack.publish(`0:${inside}/tcp`);
            const talk = {
              host,
              port: published.port,
              from: client,
              fromPort: 4111,
              steps: [['drain']],
            } satisfies Conversation;
            const [first] = await converse(machine, talk);
            assert.equal(first?.data, first?.own);
            assert.equal((await stack.report(published.id)).source, 'client');
            await arrives(control.port, 'tcp', { machine, host: client, port: 4112 });
          });
        }
      });
    }

    it('reaches the same port of it when its flow has ended while no agent ran', async () => {
      await using stack = await startStack({ args: ['--net=slirp4netns'] });
      const inside = await freePort('127.0.0.1');
      await using _server = await stack.inside(initiator('0.0.0.0', inside), { output: /^ready$/m });
      const control = await stack.publish(`127.0.0.1:0:${inside}/udp`);
      const published = await stack.publish(`0:${inside}/udp`);
      const [client = ''] = far.v4;
      const [asked] = await askAll(machine, [{ host: near.v4, port: published.port, from: client, fromPort: 4121 }]);
      assert.deepEqual(asked?.answers, ['0']);
      const [agent] = stack.below('child/agent.js');
      assert.ok(agent);
      process.kill(agent.pid, 'SIGKILL');
      await stack.api.removePort(published.id);
      await arrives(control.port, 'udp', { machine, host: client, port: 4121 });
    });

    it('reaches it where both are stacks, and peers on one port number', async () => {
      const port = await freePort('0.0.0.0');
      await using stack = await startStack({ args: ['--net=slirp4netns'], publish: [`${port}:${port}/udp`] });
      await using _server = await stack.inside(initiator('0.0.0.0', port), { output: /^ready$/m });
      const control = await stack.publish(`127.0.0.1:0:${port}/udp`);
      const peer = startPeer(machine, port, near.v4);
      // The other one has begun, and been answered. Now it is sent to unasked, until it has received that.
      const sendAgain = async () => {
        await order(control.port, `send udp ${far.v4[0]} ${port} from-the-near-one`);
        return peer.ended;
      };
      await waitFor(sendAgain, { what: 'the other one to receive', timeout: 30_000 });
      assert.match(await peer.report, /answered: hello-\d+\nreceived: from-the-near-one\n/);
      assert.equal(await order(control.port, 'stray'), '');
    });
  });
}
