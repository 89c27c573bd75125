import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import { release } from 'node:os';
import { join } from 'node:path';
import { native } from '../../../../native/index.js';
import { isInside } from '../../../../parent/api/egress/peer.js';
import { tempDir } from '../../../support/index.js';

/** Another process that connects, and stays until its standard input ends. */
async function connectFromAnother(): Promise<{ client: ChildProcess; socket: Socket; close: () => void }> {
  const path = join(tempDir(), 'socket');
  const server = createServer({ allowHalfOpen: true }).listen(path);
  await once(server, 'listening');
  const program = "require('net').connect(process.argv[1]); process.stdin.on('end', () => process.exit()).resume()";
  const client = spawn(process.execPath, ['-e', program, path], { stdio: ['pipe', 'ignore', 'inherit'] });
  const [socket] = (await once(server, 'connection')) as [Socket];
  return {
    client,
    socket,
    close: () => {
      socket.destroy();
      server.close();
    },
  };
}

const fdOf = (socket: Socket) => (socket as Socket & { _handle: { fd: number } })._handle.fd;

describe('the client of the API', () => {
  it('is outside where its process is in the same user namespace', async () => {
    const { client, socket, close } = await connectFromAnother();
    assert.equal(native().peerHasEnded(fdOf(socket)), false);
    assert.equal(isInside(socket), false);
    client.stdin?.end();
    await once(client, 'exit');
    close();
  });

  it('is known to have ended, whoever has its pid then', async () => {
    const { client, socket, close } = await connectFromAnother();
    const [major = 0, minor = 0] = release().split('.').map(Number);
    client.stdin?.end();
    await once(client, 'exit');
    const ended = native().peerHasEnded(fdOf(socket));
    assert.equal(isInside(socket), true);
    close();
    const canTell = major > 6 || (major === 6 && minor >= 5);
    assert.equal(ended, canTell);
  });
});
