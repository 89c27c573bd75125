import { lstatSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { native } from '../../native/index.js';
import { errnoText } from '../../protocol/errors/errno-text.js';
import { type ErrorDetails, ExpectedError } from '../../protocol/errors/expected-error.js';
import { MAX_SOCKET_PATH } from '../../protocol/state/state-layout.js';

/** RootlessKit's: write permission is what connect(2) asks for. */
const SOCKET_MODE = 0o755;

/** The API's socket cannot be made or used. */
export class APISocketError extends ExpectedError {
  override name = 'APISocketError';
  override readonly code: string = 'api-socket';
  constructor(
    readonly socketPath: string,
    message: string,
    options?: ErrorDetails,
  ) {
    super(message, options);
  }
}

/**
 * Checks the kernel's limit: Node would fail with ENAMETOOLONG or EINVAL, or cut the path short.
 * @throws APISocketError
 */
function checkSocketPath(socketPath: string): void {
  const length = Buffer.byteLength(socketPath);
  if (length <= MAX_SOCKET_PATH) return;
  throw new APISocketError(
    socketPath,
    `path of the API socket is too long (${length} bytes, UNIX sockets allow ${MAX_SOCKET_PATH}): ${socketPath}; ` +
      'use a shorter --state-dir',
  );
}

export interface APISocket {
  /** It listens. */
  fd: number;
  /** Removes the socket, but not another one that is at its path by then. */
  remove: () => void;
}

/**
 * Makes a socket that clients can connect to; replaces one that no process listens on.
 * @throws APISocketError
 */
export async function openSocket(socketPath: string): Promise<APISocket> {
  checkSocketPath(socketPath);
  let fd: number;
  try {
    fd = native().listenOnPath(socketPath, SOCKET_MODE);
  } catch (error) {
    if (codeOf(error) !== 'EADDRINUSE') throw cannotListen(socketPath, error);
    if (await answers(socketPath)) {
      throw new APISocketError(socketPath, `API socket ${socketPath} is in use by another stack`, { cause: error });
    }
    if (!lstatSync(socketPath).isSocket()) {
      throw new APISocketError(socketPath, `cannot make the API socket ${socketPath}: another file is there`);
    }
    // Left by a stack that was killed; this one holds the state directory's lock.
    rmSync(socketPath, { force: true });
    try {
      fd = native().listenOnPath(socketPath, SOCKET_MODE);
    } catch (again) {
      throw cannotListen(socketPath, again);
    }
  }
  const made = lstatSync(socketPath);
  const remove = () => {
    const now = lstatSync(socketPath, { throwIfNoEntry: false });
    if (now?.ino === made.ino && now.dev === made.dev) rmSync(socketPath, { force: true });
  };
  return { fd, remove };
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
  const reasons: Record<string, string> = {
    ENOENT: 'its directory is missing',
    EACCES: 'its directory is not writable',
  };
  const reason = code === undefined ? String(error) : (reasons[code] ?? errnoText(code));
  return new APISocketError(socketPath, `cannot make the API socket ${socketPath}: ${reason}`, { cause: error });
}

function codeOf(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error ? String(error.code) : undefined;
}
