import assert from 'node:assert/strict';
import { accepts, openConnection, outcomeOf, programPath, tcpOutcome, waitFor } from '../../../support/index.js';
import { listenOnce, RESET } from '../suite/common.js';
import { ask, isBypassed, LISTEN, listeners, python, withBypass } from './common.js';

describe('port driver bypass', () => {
  const { stack, server } = withBypass();

  it('shows servers the address and the port of clients, of those on loopback, too', async () => {
    const { host, port } = await stack.publish('127.0.0.2:0:8001');
    await using _server = await stack.program('tcp-server', 'client', '127.0.0.1', 8001);
    const socket = await openConnection(host, port, '127.0.0.7');
    const own = `127.0.0.7 ${socket.localPort}`;
    assert.equal((await outcomeOf(socket)).data.toString(), own);
  });

  it('lets programs inside reach the server as before, below the command and beside it', async () => {
    await using it = await server(8002, `s = listen(int(sys.argv[1]))\nprint('ready')\nwhile True: answer(s, 'hello')`);
    await isBypassed(stack, it.id);
    const script = `import socket; print(socket.create_connection(('127.0.0.1', 8002), 5).recv(9).decode())`;
    assert.equal((await stack.enter('python3', '-c', script)).stdout, 'hello\n');
    await stack.run(['python3', '-c', script], /^hello$/m);
    assert.equal(await ask(it.host, it.port), 'hello');
  });

  it('leads further ports to the same server', async () => {
    await using it = await server(8003, `s = listen(int(sys.argv[1]))\nprint('ready')\nwhile True: answer(s, 'hello')`);
    const [second, third] = [await stack.publish('127.0.0.3:0:8003'), await stack.publish('0:8003')];
    for (const { host, port } of [it, second, third]) assert.equal(await ask(host, port), 'hello');
    assert.equal(await ask('::1', third.port), 'hello');
    const bypassed = await Promise.all([it, second, third].map(async ({ id }) => (await stack.report(id)).bypass));
    assert.deepEqual(bypassed, [true, false, false]);
  });

  it('serves the other address family of a port that is published on both', async () => {
    await using it = await server(
      8004,
      `s = listen(int(sys.argv[1]), '0.0.0.0')\nprint('ready')\nwhile True: answer(s, 'hello')`,
      '0:8004',
    );
    await isBypassed(stack, it.id);
    assert.match((await listeners(it.port)).join('\n'), new RegExp(`0\\.0\\.0\\.0:${it.port} .*"python3"`));
    for (const host of ['127.0.0.1', '127.0.0.9', '::1']) assert.equal(await ask(host, it.port), 'hello');
  });

  it('gives the port to the next server when one has ended, and relays to one that is not below the command', async () => {
    const script = `s = listen(int(sys.argv[1]))\nprint('ready')\nwhile True: answer(s, str(os.getpid()))`;
    const it = await server(8005, script);
    assert.equal(await ask(it.host, it.port), String(it.started.pid));
    for (let time = 0; time < 3; time++) {
      await it.started.stop('SIGTERM');
      // At once, and on the address that the first one had.
      it.started = await stack.run(python(LISTEN + script, 8005), /^ready$/m);
      assert.equal(await ask(it.host, it.port), String(it.started.pid));
      assert.equal((await stack.report(it.id)).bypass, true);
    }
    await it.started.stop('SIGTERM');
    await isBypassed(stack, it.id, false);
    assert.deepEqual(await tcpOutcome(it.host, it.port), RESET);
    await using _beside = await stack.inside(
      [process.execPath, programPath('tcp-server'), 'name', '127.0.0.1', '8005'],
      {
        output: /^ready$/m,
      },
    );
    assert.equal(await ask(it.host, it.port), '127.0.0.1');
    assert.equal((await stack.report(it.id)).bypass, false);
  });

  it('keeps the address while a server has it, and while it is handed over', async () => {
    const script = `s = listen(int(sys.argv[1]))\nprint('ready')\nsys.stdin.read()`;
    await using it = await server(8006, script);
    await isBypassed(stack, it.id);
    await assert.rejects(listenOnce(it.host, it.port), { code: 'EADDRINUSE' });
    await it.started.stop('SIGTERM');
    await assert.rejects(listenOnce(it.host, it.port), { code: 'EADDRINUSE' });
    await stack.api.removePort(it.id);
    await listenOnce(it.host, it.port);
  });

  it('ends the listener and the connections of a server with its port', async () => {
    await using it = await server(
      8007,
      `
s = listen(int(sys.argv[1]))
print('ready')
c, _ = s.accept()
c.sendall(b'in')
print('end', c.recv(10))
try: s.accept()
except OSError as e: print('accept', e.errno)
sys.stdin.read()`,
    );
    const socket = await openConnection(it.host, it.port);
    const outcome = outcomeOf(socket);
    await waitFor(() => socket.bytesRead > 0, { what: 'the greeting' });
    await stack.api.removePort(it.id);
    assert.deepEqual(await outcome, { data: Buffer.from('in'), ended: true, error: undefined });
    await listenOnce(it.host, it.port);
    await waitFor(() => it.started.output().includes("end b''\naccept 22\n"), { what: 'the server to see it' });
    const again = await stack.publish(`127.0.0.2:${it.port}:8007`);
    assert.deepEqual(await tcpOutcome(again.host, again.port), RESET);
  });

  it('leaves ports alone that are not published, and resets clients of those without a server', async () => {
    const unserved = await stack.publish('127.0.0.3:0:8010');
    await using it = await server(
      8008,
      `a = listen(int(sys.argv[1]), '0.0.0.0')\nb = listen(8009, '0.0.0.0')\nprint('ready')\nwhile True: answer(b, 'second')`,
    );
    await isBypassed(stack, it.id);
    for (const host of ['127.0.0.1', '127.0.0.2']) assert.equal(await accepts(host, 8009), false);
    const { stdout } = await stack.enter('bash', '-c', 'cat </dev/tcp/127.0.0.1/8009');
    assert.equal(stdout, 'second');
    assert.deepEqual(await tcpOutcome(unserved.host, unserved.port), RESET);
    assert.equal((await stack.report(unserved.id)).bypass, false);
  });

  it('does not take a port of a network namespace below for that of the stack', async () => {
    const { host, port, id } = await stack.publish('127.0.0.2:0:8011');
    const script = `${LISTEN}\ns = listen(8011, '0.0.0.0')\nprint('ready')\nsys.stdin.read()`;
    await using _server = await stack.run(['unshare', '--net', ...python(script)], /^ready$/m);
    assert.deepEqual(await tcpOutcome(host, port), RESET);
    assert.equal((await stack.report(id)).bypass, false);
  });
});
