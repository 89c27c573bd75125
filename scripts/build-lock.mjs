// One build at a time in a checkout. The lock is the name of an abstract unix socket: the kernel gives it
// to one process only and takes it back when that process ends, however it ends, so none is ever stale.
import { createHash } from 'node:crypto';
import { createServer } from 'node:net';

/**
 * Waits until this process holds the lock `name`, then resolves to a function that gives it back.
 *
 * @param {string} name what is locked; a path and a word say it well
 * @param {() => void} [onWait] called once if another process holds the lock
 * @returns {Promise<() => Promise<void>>}
 */
export async function takeBuildLock(name, onWait) {
  const path = `\0rootless-net-build-${createHash('sha256').update(name).digest('hex').slice(0, 32)}`;
  for (let attempt = 0; ; attempt++) {
    const server = createServer();
    const taken = await new Promise((resolve, reject) => {
      server.once('error', (error) => (error.code === 'EADDRINUSE' ? resolve(false) : reject(error)));
      server.listen(path, () => resolve(true));
    });
    if (taken) {
      server.unref();
      return () => new Promise((resolve) => server.close(() => resolve()));
    }
    if (attempt === 0 && onWait) onWait();
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}
