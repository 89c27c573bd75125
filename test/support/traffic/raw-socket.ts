import { spawn, spawnSync } from 'node:child_process';
import { native } from '../../../native/index.js';

/**
 * Connects, and sends two descriptors of the socket over descriptor 3, with a message of the control plane (an empty map in
 * MessagePack).
 */
const CONNECT = `
import os, socket, sys
kind = socket.SOCK_STREAM if sys.argv[3] == 'tcp' else socket.SOCK_DGRAM
s = socket.socket(socket.AF_INET6 if ':' in sys.argv[1] else socket.AF_INET, kind)
s.connect((sys.argv[1], int(sys.argv[2])))
socket.send_fds(socket.socket(fileno=3), [b'\\x80'], [s.fileno(), os.dup(s.fileno())])`;

/**
 * A connected socket as two bare descriptors of it, for tests of what takes descriptors. Node keeps those of its own
 * sockets to itself, so another process connects, which leaves the socket in blocking mode, and sends it here.
 */
export async function connectedSocket(
  host: string,
  port: number,
  protocol: 'tcp' | 'udp' = 'tcp',
): Promise<[number, number]> {
  const [ours, theirs] = native().socketpair();
  return new Promise((resolve, reject) => {
    const engine = new (native().Engine)('', (events) => {
      for (const event of events) {
        if (event.type === 'message') {
          const [first = -1, second = -1] = event.fds;
          resolve([first, second]);
        } else if (event.type === 'channel-closed') {
          engine.close();
          reject(new Error(`no connection to ${host}:${port}: ${event.reason}`));
        }
      }
    });
    engine.openChannel(1, ours);
    const words = ['-c', CONNECT, host, String(port), protocol];
    spawn('python3', words, { stdio: ['ignore', 'inherit', 'inherit', theirs] }).once('error', reject);
    native().closeFd(theirs);
  });
}

/** Sets an option of a socket; `call` is what Python does with `s`, such as `s.setsockopt(0, 11, 1)`. */
export function setOption(fd: number, call: string): void {
  const script = `import socket, struct; s = socket.socket(fileno=3); ${call}`;
  const { status, stderr } = spawnSync('python3', ['-c', script], { stdio: ['ignore', 'ignore', 'pipe', fd] });
  if (status !== 0) throw new Error(`${call}: ${stderr}`);
}
