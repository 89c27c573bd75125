import assert from 'node:assert/strict';
import { existsSync, mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { EventBus } from '../../../../parent/api/event-bus.js';
import { startAPIServer } from '../../../../parent/api/server.js';
import { APISocketError } from '../../../../parent/api/socket.js';
import { tempDir } from '../../../support/index.js';
import { FAKE_INFO, startFakeStack } from '../../../support/stacks/fake-stack.js';
import { ask } from './raw-requests.js';

describe('API socket', () => {
  const options = { info: () => FAKE_INFO, ports: undefined, events: new EventBus() };

  async function refusal(socketPath: string): Promise<string> {
    try {
      await (await startAPIServer({ ...options, socketPath })).close();
    } catch (error) {
      assert(error instanceof APISocketError, String(error));
      assert.equal(error.socketPath, socketPath);
      assert.doesNotMatch(error.message, /\n/);
      return error.message;
    }
    assert.fail('it started');
  }

  it('may have a path of at most 107 bytes', async () => {
    const directory = tempDir();
    const fits = join(directory, 'x'.repeat(107 - directory.length - 1));
    await (await startAPIServer({ ...options, socketPath: fits })).close();
    assert.match(
      await refusal(`${fits}x`),
      /too long \(108 bytes, UNIX sockets allow 107\): .*; use a shorter --state-dir$/,
    );
    assert.match(await refusal(join(directory, 'ä'.repeat(50))), /too long/);
  });

  it('is not made in an unsuitable place', async () => {
    const directory = tempDir();
    assert.match(
      await refusal(join(directory, 'no', 'api.sock')),
      /cannot make the API socket .*no\/api\.sock: its directory is missing/,
    );
    mkdirSync(join(directory, 'api.sock'));
    assert.match(await refusal(join(directory, 'api.sock')), /cannot make the API socket/);
  });

  it('is not taken from another stack', async () => {
    await using stack = await startFakeStack();
    assert.match(await refusal(stack.socketPath), /is in use by another stack$/);
    assert.equal((await ask(stack, 'GET', '/v1/info')).status, 200);
  });

  it('replaces one that a killed stack left behind', async () => {
    const socketPath = join(tempDir(), 'api.sock');
    // Closing a listener removes its socket, but not from where it was moved.
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(`${socketPath}.old`, resolve));
    renameSync(`${socketPath}.old`, socketPath);
    await new Promise((resolve) => server.close(resolve));
    assert(existsSync(socketPath));
    const stack = await startAPIServer({ ...options, socketPath });
    await stack.close();
    assert.equal(existsSync(socketPath), false);
  });

  it('does not replace a file', async () => {
    const socketPath = join(tempDir(), 'api.sock');
    writeFileSync(socketPath, 'precious');
    assert.match(await refusal(socketPath), /another file is there$/);
    assert(existsSync(socketPath));
  });
});
