import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { tcpOutcome, waitFor } from '../../../support/index.js';
import { ask, askUdp, type Group, NAME, newPort, RESET, withStack } from './common.js';

export const servers: Group = (suite) => {
  if (!suite.capabilities.loopbackServers) return;
  describe('where servers listen', () => {
    const SECOND = NAME + 1;
    const WILDCARD = NAME + 2;
    const FOURTH = NAME + 3;
    const WILDCARD6 = NAME + 4;
    const BOTH = NAME + 5;
    const list: [string, number][] = [
      ['127.0.0.1', NAME],
      ['127.0.0.2', SECOND],
      ['0.0.0.0', WILDCARD],
      ['127.0.0.4', FOURTH],
      ['::', WILDCARD6],
      ['127.0.0.1', BOTH],
      ['127.0.0.2', BOTH],
    ];
    const stack = withStack(suite, async (running) => {
      const started: AsyncDisposable[] = [];
      for (const name of ['tcp-server', 'udp-server'] as const) {
        for (const [host, port] of list) started.push(await running.program(name, 'name', host, port));
      }
      return started;
    });

    for (const base of ['tcp', 'udp'] as const) {
      const asked = base === 'tcp' ? ask : askUdp;

      for (const [host, port] of list.filter(([, number]) => number !== FOURTH && number !== BOTH)) {
        it(`${base}: a server on ${host} alone is reached through 127.0.0.2`, async () => {
          const published = await stack().publish(`127.0.0.2:0:${port}/${base}`);
          assert.equal(await asked('127.0.0.2', published.port), host);
        });
      }

      if (suite.capabilities.prefersAsked)
        it(`${base}: of two servers the one on the requested address is reached`, async () => {
          const second = await stack().publish(`127.0.0.2:0:${BOTH}/${base}`);
          const third = await stack().publish(`127.0.0.3:0:${BOTH}/${base}`);
          const wildcard = await stack().publish(`0:${BOTH}/${base}`);
          assert.equal(await asked('127.0.0.2', second.port), '127.0.0.2');
          assert.equal(await asked('127.0.0.3', third.port), '127.0.0.1');
          assert.equal(await asked('127.0.0.2', wildcard.port), '127.0.0.1');
        });

      it(`${base}: the child's address is used as given`, async () => {
        const fourth = await stack().publish(`127.0.0.2:0:127.0.0.4:${FOURTH}/${base}`);
        assert.equal(await asked('127.0.0.2', fourth.port), '127.0.0.4');
        const wildcard = await stack().publish(`127.0.0.2:0:127.0.0.77:${WILDCARD}/${base}`);
        assert.equal(await asked('127.0.0.2', wildcard.port), '0.0.0.0');
        const sixth = await stack().publish(`127.0.0.2:0:[::1]:${WILDCARD6}/${base}`);
        assert.equal(await asked('127.0.0.2', sixth.port), '::');
      });

      const { childAddress } = suite;
      if (childAddress) {
        it(`${base}: a server on the child's own address is reached by that address alone`, async () => {
          const port = newPort();
          await using _server = await stack().program(`${base}-server`, 'name', childAddress, port);
          const given = await stack().publish(`127.0.0.2:0:${childAddress}:${port}/${base}`);
          assert.equal(await asked('127.0.0.2', given.port), childAddress);
          if (base === 'tcp') {
            const other = await stack().publish(`127.0.0.3:0:${port}/tcp`);
            await assert.rejects(ask('127.0.0.3', other.port), { code: 'ECONNRESET' });
          }
        });
      }
    }

    if (suite.capabilities.observable) {
      it('udp: a server on another loopback address is not reached', async () => {
        const published = await stack().publish(`127.0.0.2:0:${FOURTH}/udp`);
        const answers: Buffer[] = [];
        const client = createSocket('udp4').on('message', (data) => answers.push(data));
        client.send('?', published.port, '127.0.0.2');
        await waitFor(async () => (await stack().counters(published.id)).refused === 1, { what: 'the refusal' });
        client.close();
        assert.deepEqual(answers, []);
      });
    }

    it('a server on another loopback address is not reached, and the client is refused at once', async () => {
      const published = await stack().publish(`127.0.0.2:0:${FOURTH}`);
      assert.deepEqual(await tcpOutcome('127.0.0.2', published.port), RESET);
      const elsewhere = await stack().publish(`127.0.0.2:0:127.0.0.4:${NAME}`);
      assert.deepEqual(await tcpOutcome('127.0.0.2', elsewhere.port), RESET);
    });
  });
};
