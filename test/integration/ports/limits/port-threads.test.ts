import assert from 'node:assert/strict';
import { kill } from 'node:process';
import { echo, openConnection, run, startStack, tcpRequest, waitFor } from '../../../support/index.js';

const TCP = 7001;
const THREADS = 3;

/** Tries to listen where another socket listens, with SO_REUSEPORT; prints the errno, or 0. */
const LISTEN_TOO = `
import socket, sys
kind = socket.SOCK_STREAM if sys.argv[1] == 'tcp' else socket.SOCK_DGRAM
with socket.socket(socket.AF_INET, kind) as other:
    other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1 if kind == socket.SOCK_STREAM else 0)
    try:
        other.bind((sys.argv[2], int(sys.argv[3])))
        if kind == socket.SOCK_STREAM: other.listen()
        print(0)
    except OSError as error:
        print(error.errno)`;

describe('several threads that relay', () => {
  it('are shown by rootlessctl info, unless it is one', async () => {
    await using several = await startStack({ args: ['--net=none', `--port-threads=${THREADS}`] });
    assert.match((await several.ctl('info')).stdout, new RegExp(`^ {2}- Threads: ${THREADS}$`, 'm'));
    await using one = await startStack({ args: ['--net=none', '--port-threads=1'] });
    assert.doesNotMatch((await one.ctl('info')).stdout, /Threads/);
  });

  for (const proto of ['tcp', 'udp']) {
    it(`keep the address of a published port from other processes of the user, over ${proto}`, async () => {
      await using stack = await startStack({ args: ['--net=none', `--port-threads=${THREADS}`] });
      for (const ip of ['127.0.0.2', '0.0.0.0']) {
        const { id, port } = await stack.publish(`${ip}:0:${TCP}/${proto}`);
        const { stdout } = await run('python3', ['-c', LISTEN_TOO, proto, '127.0.0.2', String(port)]);
        assert.equal(stdout.trim(), '98');
        await stack.api.removePort(id);
      }
    });
  }

  it('serve connections again when the agent was killed, and keep those that are open', async () => {
    await using stack = await startStack({ args: ['--net=none', `--port-threads=${THREADS}`] });
    await using _server = await stack.program('tcp-server', 'echo', '127.0.0.1', TCP);
    const { id, host, port } = await stack.publish(`127.0.0.2:0:${TCP}`);
    const open = await Promise.all(Array.from({ length: 2 * THREADS }, () => openConnection(host, port)));
    for (const socket of open) assert.equal(await echo(socket, 'before'), 'before');
    for (const { pid } of stack.below('child/agent')) kill(pid, 'SIGKILL');
    const answers = await Promise.all(
      Array.from({ length: 4 * THREADS }, (_, i) => tcpRequest(host, port, `request ${i}`)),
    );
    assert.deepEqual(
      answers.map(String),
      answers.map((_, i) => `request ${i}`),
    );
    for (const socket of open) assert.equal(await echo(socket, 'after'), 'after');
    for (const socket of open) socket.destroy();
    await waitFor(async () => (await stack.counters(id)).open === 0, { what: 'no open connections' });
    assert.equal((await stack.counters(id)).opened, 6 * THREADS);
  });
});
