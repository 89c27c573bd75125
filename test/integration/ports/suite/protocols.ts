import assert from 'node:assert/strict';
import {
  all4,
  all6,
  ask,
  askUdp,
  bracket,
  type Group,
  host4,
  host6,
  NAME,
  serverAddress,
  takesTcp,
  takesUdp,
  withStack,
} from './common.js';

export const protocols: Group = (suite) => {
  if (!suite.capabilities.ipv6) return;
  const at = serverAddress(suite);
  describe('protocols', () => {
    const stack = withStack(suite, async (running) => [
      await running.program('tcp-server', 'name', at, NAME),
      await running.program('udp-server', 'name', at, NAME),
      await running.program('tcp-server', 'name', '::1', NAME + 10),
      await running.program('udp-server', 'name', '::1', NAME + 10),
    ]);

    const cases: [spec: string, reached: string[], not: string[]][] = [
      ['', [...all4, ...all6], []],
      ['0.0.0.0:', [...all4, ...all6], []],
      ['[::]:', [...all4, ...all6], []],
      ['127.0.0.2:', ['127.0.0.2'], ['127.0.0.1', '::1']],
      ['[::1]:', ['::1'], ['127.0.0.1']],
      ['4', all4, all6],
      ['0.0.0.0:4', all4, all6],
      ['127.0.0.2:4', ['127.0.0.2'], ['127.0.0.1', '::1']],
      ['6', all6, all4],
      ['[::]:6', all6, all4],
      ['[::1]:6', ['::1'], [...all4, ...host6]],
    ];
    for (const [text, reached, not] of cases) {
      const family = /[46]$/.exec(text)?.[0] ?? '';
      const address = family ? text.slice(0, -1) : text;
      for (const proto of [`tcp${family}`, `udp${family}`]) {
        it(`${proto} on ${address.slice(0, -1) || 'no address'} is reached on ${reached}${not.length ? `, not on ${not}` : ''}`, async () => {
          const isTcp = proto.startsWith('tcp');
          const { port } = await stack().publish(`${address}0:${NAME}/${proto}`);
          for (const host of reached) {
            assert.equal(await (isTcp ? ask(host, port) : askUdp(host, port)), at, `through ${host}`);
          }
          for (const host of not) {
            assert.equal(await (isTcp ? takesTcp(host, port) : takesUdp(host, port)), false, `${host} is taken`);
          }
        });
      }
    }

    for (const base of ['tcp', 'udp'] as const) {
      const asked = base === 'tcp' ? ask : askUdp;

      it(`${base}4 and ${base}6 have the same port to themselves`, async () => {
        const { port } = await stack().publish(`0:${NAME}/${base}4`);
        await stack().publish(`${port}:${NAME + 10}/${base}6`);
        assert.equal(await asked('127.0.0.1', port), at);
        assert.equal(await asked('::1', port), '::1');
      });

      it(`${base} finds a server of the other family`, async () => {
        for (const host of ['127.0.0.1', '127.0.0.2', ...host4, '0.0.0.0', '::']) {
          const { port } = await stack().publish(`${bracket(host)}:0:${NAME + 10}/${base}`);
          const through = host === '0.0.0.0' || host === '::' ? '127.0.0.1' : host;
          assert.equal(await asked(through, port), '::1', `published on ${host}`);
        }
      });
    }
  });
};
