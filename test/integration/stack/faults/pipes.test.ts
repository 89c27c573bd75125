import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { openConnection, pseudoRandom, pseudoRandomHash, start, startStack } from '../../../support/index.js';
import { ECHO } from './processes.js';

/** Takes all pipe pages that a user may have (fs.pipe-user-pages-soft), and holds them until it is ended. */
const HOARD = `
import fcntl, os, resource, signal
resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
pipes, size = [], 1 << 20
while size > 65536:
    pipes.append(os.pipe())
    try:
        fcntl.fcntl(pipes[-1][1], 1031, size)
    except PermissionError:
        size //= 2
print('hoarded', flush=True)
signal.pause()
`;
const LENGTH = 64 << 20;

/** Sends bytes to an echo server, and checks what comes back. */
async function throughAndBack(port: number): Promise<void> {
  const socket = await openConnection('127.0.0.2', port);
  const hash = createHash('sha256');
  socket.on('data', (chunk) => hash.update(chunk));
  pseudoRandom(LENGTH).pipe(socket);
  await once(socket, 'end');
  assert.equal(hash.digest('hex'), pseudoRandomHash(LENGTH));
}

describe("when the user's pipe pages run out", () => {
  it('streams pass without pipes, and again with them when there are some', async () => {
    await using stack = await startStack();
    await using _server = await stack.program('tcp-server', 'echo', '127.0.0.1', ECHO);
    const { port } = await stack.publish(`127.0.0.2:0:${ECHO}`);
    {
      await using _hoard = await start('python3', ['-c', HOARD], { ready: { output: /^hoarded$/m } });
      await throughAndBack(port);
    }
    await throughAndBack(port);
  });
});
