import assert from 'node:assert/strict';
import { startStack } from '../../../support/index.js';
import { listenOnce } from '../suite/common.js';
import { ask, isBypassed, LISTEN, python, withBypass } from './common.js';

describe('port driver bypass', () => {
  const { stack, server } = withBypass();

  it('relays to a server whose socket was in an epoll set before, and reports the reason', async () => {
    await using it = await server(
      8031,
      `
e = select.epoll()
s = listen(int(sys.argv[1]), before=lambda s: (s.setblocking(False), e.register(s, select.EPOLLIN)))
print('ready')
while True:
    e.poll()
    answer(s, 'from epoll')`,
    );
    assert.equal(await ask(it.host, it.port), 'from epoll');
    const { bypass, bypassReason } = await stack.report(it.id);
    assert.deepEqual([bypass, bypassReason], [false, "the server's socket was in an epoll set already"]);
    assert.match((await stack.ctl('list-ports')).stdout, /no: the server's socket was in an epoll set already/);
  });

  it('relays a further port of a server, and reports which one it has', async () => {
    const further = await stack.publish('127.0.0.3:0:8033');
    await using it = await server(8033, `s = listen(int(sys.argv[1]))\nprint('ready')\nwhile True: answer(s, 'one')`);
    assert.equal(await ask('127.0.0.3', further.port), 'one');
    assert.equal(await ask(it.host, it.port), 'one');
    const all = await Promise.all([it.id, further.id].map((id) => stack.report(id)));
    const bypassed = all.findIndex(({ bypass }) => bypass === true);
    const other = all[1 - bypassed];
    assert.equal(other?.bypass, false);
    assert.equal(other?.bypassReason, `the server has the socket of port ${all[bypassed]?.id} instead`);
  });

  it('relays if the server uses another address family, or the PROXY protocol', async () => {
    const proxied = await stack.publish('127.0.0.3:0:8032+proxy1');
    await using it = await server(
      8032,
      `s = listen(int(sys.argv[1]))\nprint('ready')\nwhile True: answer(s, 'four')`,
      '[::1]:0:8032',
    );
    assert.equal(await ask('::1', it.port), 'four');
    assert.equal((await stack.report(it.id)).bypassReason, 'the server listens in the other address family');
    assert.equal((await stack.report(proxied.id)).bypassReason, 'connections begin with the PROXY protocol');
  });

  it('relays UDP, unless programs may reach the loopback of the host', async () => {
    const { id } = await stack.publish('127.0.0.2:0:8033/udp');
    const { bypass, bypassReason } = await stack.report(id);
    assert.equal(bypass, false);
    assert.match(bypassReason ?? '', /^a UDP socket of the host could send to its loopback; --allow-host-loopback/);
  });
});

describe('port driver bypass, beside other options', () => {
  for (const more of [['--pidns'], ['--ipcns', '--utsns'], ['--copy-up=/etc']]) {
    it(`works with ${more.join(' ')}`, async () => {
      const script = `${LISTEN}\ns = listen(80)\nanswer(s, 'hello')\nselect.select([], [], [])`;
      await using stack = await startStack({
        args: ['--net=none', '--port-driver=bypass', ...more],
        publish: ['127.0.0.2:0:80'],
        command: python(script),
      });
      await isBypassed(stack, 1);
      const [{ host, port } = { host: '', port: 0 }] = await stack.published();
      assert.equal(await ask(host, port), 'hello');
      await stack.api.removePort(1);
      await listenOnce(host, port);
    });
  }
});
