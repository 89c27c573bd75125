import assert from 'node:assert/strict';
import { type RunningStack, run, startStack } from '../../support/index.js';
import { pythonProgram } from '../../support/paths.js';

/**
 * Two ends of a connection: each sends three times `abc`, an urgent byte and `def`, and prints what the other one sends, with
 * brackets around what is urgent. They wait for each other's, so that no mark is moved before it was seen.
 *
 * `line` has urgent bytes in line, as telnet does; `beside` reads them by themselves (recv(2), MSG_OOB).
 */
const ENDS = pythonProgram('traffic/urgent-data');

const words = (...rest: string[]) => ['-c', ENDS, 'ends', ...rest];
const whole = 'abc[1]def\nabc[2]def\nabc[3]def\n';

describe('urgent data (MSG_OOB)', () => {
  let stack: RunningStack;
  before(async () => {
    stack = await startStack();
  });
  after(() => stack?.[Symbol.asyncDispose]());

  for (const how of ['line', 'beside']) {
    it(`passes in both directions, at its place (read ${how === 'line' ? 'in line' : 'by itself'})`, async () => {
      const server = await stack.inside(['python3', ...words('server', how, '127.0.0.1', '80')], {
        output: /^ready$/m,
      });
      await using _server = server;
      const { host, port } = await stack.publish('127.0.0.2:0:80');
      const client = await run('python3', words('client', how, host, String(port)));
      await server.ended;
      assert.deepEqual([client.stdout, client.stderr], [whole, '']);
      assert.equal(server.output(), `ready\n${whole}`);
    });
  }

  it('does not cut off what comes behind it in bulk, nor the end', async () => {
    // Two megabytes, an urgent byte, two more, and the end.
    const sender = `
import socket, sys
s = socket.create_connection((sys.argv[1], int(sys.argv[2])))
s.sendall(bytes(2 << 20))
s.send(b'!', socket.MSG_OOB)
s.sendall(bytes(2 << 20))
s.shutdown(socket.SHUT_WR)
print(s.recv(100).decode())
`;
    const receiver = `
import socket
listener = socket.create_server(('127.0.0.1', 81))
print('ready', flush=True)
s = listener.accept()[0]
s.setsockopt(socket.SOL_SOCKET, socket.SO_OOBINLINE, 1)
length, marks = 0, 0
while data := s.recv(65536):
    length += len(data)
    marks += data.count(b'!')
s.sendall(b'%d %d' % (length, marks))
s.close()
`;
    await using _server = await stack.inside(['python3', '-c', receiver], { output: /^ready$/m });
    const { host, port } = await stack.publish('127.0.0.2:0:81');
    const { stdout } = await run('python3', ['-c', sender, host, String(port)]);
    assert.equal(stdout, `${2 * (2 << 20) + 1} 1\n`);
  });
});
