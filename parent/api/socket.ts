import { once } from 'node:events';
import { lstat, rm } from 'node:fs/promises';
import { connect, type Server } from 'node:net';

/** Longest path of a UNIX socket in bytes: sun_path holds 108, the last of which is a NUL (unix(7)). */
export const MAX_SOCKET_PATH = 107;

/** Mode 0755, which is RootlessKit's: write permission is what connect(2) asks for. */
const SOCKET_UMASK = 0o022;

/** The API's socket cannot be made or used. The message is one line and complete. */
export class APISocketError extends Error {
  override name = 'APISocketError';
  constructor(
    readonly socketPath: string,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

/**
 * The kernel's limit, told before it is met: node would say ENAMETOOLONG or EINVAL, or cut the path short.
 * @throws APISocketError
 */
export function checkSocketPath(socketPath: string): void {
  const length = Buffer.byteLength(socketPath);
  if (length <= MAX_SOCKET_PATH) return;
  throw new APISocketError(
    socketPath,
    `path of the API socket is too long (${length} bytes, UNIX sockets allow ${MAX_SOCKET_PATH}): ${socketPath}; ` +
      'use a shorter --state-dir',
  );
}

/**
 * Makes the socket and listens on it. One that nobody listens on any more is replaced.
 * @throws APISocketError
 */
export async function listenOnSocket(server: Server, socketPath: string): Promise<void> {
  checkSocketPath(socketPath);
  try {
    await tryListen(server, socketPath);
  } catch (error) {
    if (codeOf(error) !== 'EADDRINUSE') throw cannotListen(socketPath, error);
    if (await answers(socketPath)) {
      throw new APISocketError(socketPath, `API socket ${socketPath} is in use by another stack`, { cause: error });
    }
    if (!(await lstat(socketPath)).isSocket()) {
      throw new APISocketError(socketPath, `cannot make the API socket ${socketPath}: there is something else`);
    }
    // Left behind by a stack that was killed. Whoever starts a stack holds the state directory's lock.
    await rm(socketPath, { force: true });
    await tryListen(server, socketPath).catch((again: unknown) => {
      throw cannotListen(socketPath, again);
    });
  }
}

/** The socket has its mode from the first moment on; a chmod afterwards would leave a gap. */
async function tryListen(server: Server, socketPath: string): Promise<void> {
  const listening = once(server, 'listening');
  const umask = process.umask(SOCKET_UMASK);
  try {
    // Binds before it returns; only the event comes later.
    server.listen(socketPath);
  } finally {
    process.umask(umask);
  }
  await listening;
}

function answers(socketPath: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(socketPath, () => resolve(true));
    socket.once('connect', () => socket.destroy());
    socket.once('error', (error) => resolve(codeOf(error) !== 'ECONNREFUSED'));
  });
}

function cannotListen(socketPath: string, error: unknown): APISocketError {
  const code = codeOf(error);
  // libuv says EACCES where the kernel says ENOENT, so the two cannot be told apart.
  const reason = code === 'EACCES' ? 'its directory is missing or not writable' : (code ?? String(error));
  return new APISocketError(socketPath, `cannot make the API socket ${socketPath}: ${reason}`, { cause: error });
}

function codeOf(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error ? String(error.code) : undefined;
}
