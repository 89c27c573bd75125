import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { connect } from 'node:net';
import type { Flow } from '../../../protocol/api/types.js';
import { echo, startStack, waitFor } from '../../support/index.js';

describe('rootlessctl flows', () => {
  it('lists connections of published ports, with the server', async () => {
    await using stack = await startStack();
    const { id, port } = await stack.publish('127.0.0.1:0:8080');
    await using server = await stack.program('tcp-server', 'echo', '127.0.0.1', 8080);
    assert.notEqual(server, undefined);
    const list = async () => {
      const { stdout } = await stack.ctl('flows', '--json');
      return stdout.split('\n').flatMap((line) => (line === '' ? [] : [JSON.parse(line) as Flow]));
    };
    const socket = connect(port, '127.0.0.1');
    try {
      await once(socket, 'connect');
      await echo(socket, 'hello');
      const [flow, ...more] = await list();
      assert.deepEqual(more, []);
      const { since, program, connection, ...rest } = flow ?? assert.fail('no flow');
      assert.deepEqual(rest, {
        protocol: 'tcp',
        direction: 'in',
        port: id,
        client: `127.0.0.1:${socket.localPort}`,
        destination: ':8080',
        host: `127.0.0.1:${port}`,
        bytesSent: 5,
        bytesReceived: 5,
        verdict: 'allowed',
        state: 'open',
      });
      // A busy machine may leave no time to look for it.
      if (program) assert.match(readFileSync(`/proc/${program.pid}/cmdline`, 'latin1'), /tcp-server/);
    } finally {
      socket.destroy();
    }
    await waitFor(async () => (await list()).length === 0, { what: 'the end of the connection' });
  });
});
