import { spawn, spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { native } from '../../../native/index.js';

const SENDER = fileURLToPath(new URL('../../programs/send-fds.js', import.meta.url));

/**
 * A connected socket as two bare descriptors of it, for tests of what takes descriptors. Node keeps those of its own
 * sockets to itself, so a shell connects (which leaves the socket in blocking mode), and another process sends it here.
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
    const script = `exec 4<>/dev/${protocol}/$0/$1 && exec 5<&4 && exec "$2" "$3"`;
    const words = ['-c', script, host, String(port), process.execPath, SENDER];
    spawn('bash', words, { stdio: ['ignore', 'inherit', 'inherit', theirs] }).once('error', reject);
    native().closeFd(theirs);
  });
}

/** Sets an option of a socket; `call` is what Python does with `s`, such as `s.setsockopt(0, 11, 1)`. */
export function setOption(fd: number, call: string): void {
  const script = `import socket, struct; s = socket.socket(fileno=3); ${call}`;
  const { status, stderr } = spawnSync('python3', ['-c', script], { stdio: ['ignore', 'ignore', 'pipe', fd] });
  if (status !== 0) throw new Error(`${call}: ${stderr}`);
}
