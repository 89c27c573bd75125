import assert from 'node:assert/strict';
import { tcpRequest } from '../../support/index.js';
import {
  ask,
  askUdp,
  bracket,
  type Group,
  host4,
  host6,
  listenOnce,
  NAME,
  startFor,
  takesTcp,
  takesUdp,
  withStack,
} from './common.js';

export const addresses: Group = (suite) => {
  describe('addresses of the host', () => {
    const stack = withStack(suite, async (running) => [
      await running.program('tcp-server', 'name', '127.0.0.1', NAME),
      await running.program('udp-server', 'name', '127.0.0.1', NAME),
    ]);

    for (const host of ['127.0.0.1', '127.0.0.2', '127.0.0.3', '::1', ...host4, ...host6]) {
      it(`reaches a server on 127.0.0.1 through ${host}, TCP and UDP`, async () => {
        const tcp = await stack().publish(`${bracket(host)}:0:${NAME}`);
        const udp = await stack().publish(`${bracket(host)}:0:${NAME}/udp`);
        assert.equal(await ask(host, tcp.port), '127.0.0.1');
        assert.equal(await askUdp(host, udp.port), '127.0.0.1');
      });
    }

    it('does not take a port on another address', async () => {
      const tcp = await stack().publish(`127.0.0.2:0:${NAME}`);
      const udp = await stack().publish(`127.0.0.2:0:${NAME}/udp`);
      for (const host of ['127.0.0.1', '127.0.0.3', '::1', ...host4, ...host6]) {
        assert.equal(await takesTcp(host, tcp.port), false, `${host} accepts`);
        assert.equal(await takesUdp(host, udp.port), false, `${host} answers`);
        // And anybody else may have it.
        await listenOnce(host, tcp.port);
      }
    });

    it('lets two stacks publish the same port on two addresses', async () => {
      await using other = await startFor(suite);
      await using _server = await other.program('tcp-server', 'echo', '127.0.0.1', NAME);
      const { port } = await stack().publish(`127.0.0.2:0:${NAME}`);
      await other.publish(`127.0.0.3:${port}:${NAME}`);
      assert.equal(await ask('127.0.0.2', port), '127.0.0.1');
      assert.equal((await tcpRequest('127.0.0.3', port, 'the other')).toString(), 'the other');
      assert.equal(await takesTcp('127.0.0.1', port), false);
    });
  });
};
