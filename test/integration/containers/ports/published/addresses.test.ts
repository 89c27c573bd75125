import assert from 'node:assert/strict';
import { accepts, freePort, hostAddresses } from '../../../../support/index.js';
import { bracket } from '../../../ports/suite/common.js';
import { get, getUdp, listeners, withPublishing } from './publishing.js';

describe('published ports of containers', () => {
  const { stack, serve } = withPublishing();
  const refuses = (promise: Promise<unknown>) => assert.rejects(promise, { code: 'ECONNREFUSED' });

  interface Published {
    /** As -p accepts it. */
    ip: string;
    /** As ss(8) writes it. */
    shown: string;
    /** Where a client finds it … */
    clients: string[];
    /** … and where not. */
    elsewhere: string[];
  }
  const lan = hostAddresses.v4 ? [hostAddresses.v4] : [];
  const lan6 = hostAddresses.v6 ? [hostAddresses.v6] : [];
  const table: Published[] = [
    { ip: '127.0.0.1', shown: '127.0.0.1', clients: ['127.0.0.1'], elsewhere: ['127.0.0.2', '::1', ...lan] },
    { ip: '127.0.0.2', shown: '127.0.0.2', clients: ['127.0.0.2'], elsewhere: ['127.0.0.1', '127.0.0.3', '::1'] },
    { ip: '127.0.0.3', shown: '127.0.0.3', clients: ['127.0.0.3'], elsewhere: ['127.0.0.1', '127.0.0.2', ...lan] },
    { ip: '0.0.0.0', shown: '0.0.0.0', clients: ['127.0.0.1', '127.0.0.2', ...lan], elsewhere: ['::1', ...lan6] },
    { ip: '[::]', shown: '[::]', clients: ['::1', ...lan6], elsewhere: ['127.0.0.1', ...lan] },
    { ip: '[::1]', shown: '[::1]', clients: ['::1'], elsewhere: ['127.0.0.1', ...lan6] },
    { ip: '', shown: '*', clients: ['127.0.0.1', '127.0.0.2', '::1', ...lan, ...lan6], elsewhere: [] },
    ...lan.map((ip) => ({ ip, shown: ip, clients: [ip], elsewhere: ['127.0.0.1', '::1', ...lan6] })),
    ...lan6.map((ip) => ({
      ip: bracket(ip),
      shown: bracket(ip),
      clients: [ip],
      elsewhere: ['127.0.0.1', '::1', ...lan],
    })),
  ];
  for (const { ip, shown, clients, elsewhere } of table) {
    it(`are reached at ${ip || 'every address'} and nowhere else, TCP and UDP, on a given and on any free port`, async () => {
      const port = await freePort(clients[0] ?? '');
      const before = ip === '' ? '' : `${ip}:`;
      const given = ['-p', `${before}${port}:80`, '-p', `${before}${port}:53/udp`];
      const any = ['-p', ip === '' ? '80' : `${ip}::80`, '-p', ip === '' ? '53/udp' : `${ip}::53/udp`];
      const { id, ports } = await serve('c', ...given, ...any);
      const [tcp = 0, udp = 0] = ports.slice(2).map(({ hostPort }) => hostPort);
      assert(tcp > 0 && udp > 0);

      // As docker names every address.
      const named = shown === '*' ? ['0.0.0.0', '[::]'] : [shown];
      assert.deepEqual(await listeners(port), [`tcp ${shown}:${port}`, `udp ${shown}:${port}`]);
      assert.deepEqual(await listeners(tcp), [`tcp ${shown}:${tcp}`]);
      assert.deepEqual(await listeners(udp), [`udp ${shown}:${udp}`]);
      for (const host of clients) {
        assert.deepEqual([await get(host, port), await get(host, tcp)], ['c\n', 'c\n'], host);
        assert.deepEqual([await getUdp(host, port), await getUdp(host, udp)], ['c\n', 'c\n'], host);
      }
      for (const host of elsewhere) {
        for (const number of [port, tcp]) assert.equal(await accepts(host, number), false, host);
        for (const number of [port, udp]) await refuses(getUdp(host, number));
      }
      assert.equal(
        await stack.must('port', 'c'),
        [
          ...named.map((address) => `80/tcp -> ${address}:${port}`),
          ...named.map((address) => `53/udp -> ${address}:${port}`),
          ...named.map((address) => `80/tcp -> ${address}:${tcp}`),
          ...named.map((address) => `53/udp -> ${address}:${udp}`),
        ].join('\n'),
      );
      const row = (await stack.must('ps')).split('\n').find((line) => line.startsWith(id.slice(0, 12))) ?? '';
      const columns = [`${port}->80/tcp`, `${port}->53/udp`, `${tcp}->80/tcp`, `${udp}->53/udp`];
      assert(row.includes(columns.flatMap((text) => named.map((address) => `${address}:${text}`)).join(', ')), row);
      await stack.must('stop', 'c');
      assert.deepEqual([await listeners(port), await listeners(tcp), await listeners(udp)], [[], [], []]);
    });
  }

  it('of two containers can have the same number on two addresses', async () => {
    const port = await freePort('127.0.0.2');
    await Promise.all([serve('two', '-p', `127.0.0.2:${port}:80`), serve('three', '-p', `127.0.0.3:${port}:80`)]);
    assert.deepEqual(await listeners(port), [`tcp 127.0.0.2:${port}`, `tcp 127.0.0.3:${port}`]);
    assert.deepEqual([await get('127.0.0.2', port), await get('127.0.0.3', port)], ['two\n', 'three\n']);
    assert.equal(await accepts('127.0.0.1', port), false);
    await stack.must('rm', '-f', 'two');
    assert.deepEqual(await listeners(port), [`tcp 127.0.0.3:${port}`]);
    assert.equal(await get('127.0.0.3', port), 'three\n');
  });
});
