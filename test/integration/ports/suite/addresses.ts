import assert from 'node:assert/strict';
import { tcpRequest } from '../../../support/index.js';
import {
  ask,
  askUdp,
  bracket,
  type Group,
  host4,
  host6,
  listenOnce,
  NAME,
  serverAddress,
  startFor,
  takesTcp,
  takesUdp,
  withStack,
} from './common.js';

export const addresses: Group = (suite) => {
  const at = serverAddress(suite);
  const { ipv6, loopbackDatagrams } = suite.capabilities;
  describe('addresses of the host', () => {
    const stack = withStack(suite, async (running) => [
      await running.program('tcp-server', 'name', at, NAME),
      await running.program('udp-server', 'name', at, NAME),
    ]);

    const published = ['127.0.0.1', '127.0.0.2', '127.0.0.3', ...host4, ...(ipv6 ? ['::1', ...host6] : [])];
    for (const host of published) {
      it(`reaches a server on ${at} through ${host}, TCP and UDP`, async () => {
        const tcp = await stack().publish(`${bracket(host)}:0:${NAME}`);
        assert.equal(await ask(host, tcp.port), at);
        if (!loopbackDatagrams && !host4.includes(host)) return;
        const udp = await stack().publish(`${bracket(host)}:0:${NAME}/udp`);
        assert.equal(await askUdp(host, udp.port), at);
      });
    }

    it('treats an IPv4 address inside IPv6 as that IPv4 address', async () => {
      const tcp = await stack().publish(`[::ffff:127.0.3.1]:0:${NAME}`);
      assert.equal(await ask('127.0.3.1', tcp.port), at);
      if (!loopbackDatagrams) return;
      const udp = await stack().publish(`[::ffff:127.0.3.1]:0:${NAME}/udp`);
      assert.equal(await askUdp('127.0.3.1', udp.port), at);
    });

    it('does not take a port on another address', async () => {
      const tcp = await stack().publish(`127.0.0.2:0:${NAME}`);
      const udp = await stack().publish(`127.0.0.2:0:${NAME}/udp`);
      for (const host of ['127.0.0.1', '127.0.0.3', '::1', ...host4, ...host6]) {
        assert.equal(await takesTcp(host, tcp.port), false, `${host} accepts`);
        assert.equal(await takesUdp(host, udp.port), false, `${host} answers`);
        // And another process may bind it.
        await listenOnce(host, tcp.port);
      }
    });

    it('lets two stacks publish the same port on two addresses', async () => {
      await using other = await startFor(suite);
      await using _server = await other.program('tcp-server', 'echo', at, NAME);
      const { port } = await stack().publish(`127.0.0.2:0:${NAME}`);
      await other.publish(`127.0.0.3:${port}:${NAME}`);
      assert.equal(await ask('127.0.0.2', port), at);
      assert.equal((await tcpRequest('127.0.0.3', port, 'the other')).toString(), 'the other');
      assert.equal(await takesTcp('127.0.0.1', port), false);
    });
  });
};
