/**
 * The state directory: who uses it holds a lock on it, and everything in it but the lock belongs to the running stack.
 *
 *   lock         held exclusively while the stack runs
 *   child_pid    decimal, without a newline; written when everything is ready
 *   api.sock     the REST API
 *   hosts, resolv.conf   what the child sees as /etc/hosts and /etc/resolv.conf
 *
 * One that was left behind (SIGKILL) is not locked any more, and is taken over. The directory itself is locked too, in
 * shared mode, which keeps systemd-tmpfiles from cleaning it up (tmpfiles.d(5)).
 */
import { mkdtempSync, rmdirSync, rmSync, writeFileSync } from 'node:fs';
import { access, type FileHandle, mkdir, open, readdir, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { native } from '../../native/index.js';
import { MAX_SOCKET_PATH } from '../api/socket.js';
import { errorCode, StateDirError } from '../errors.js';

const LONGEST_SOCKET = '.s4nn.sock';

export class StateDir {
  readonly socket: string;

  private constructor(
    readonly path: string,
    private readonly locks: FileHandle[],
  ) {
    this.socket = join(path, 'api.sock');
  }

  /**
   * The path of the directory; of a new temporary one where none is given. Throws StateDirError or NativeMissingError.
   */
  static choose(path: string | undefined): string {
    // Without it nothing can be locked: not even a directory is to be made then.
    native();
    const dir = path === undefined ? makeTemporary() : resolve(path);
    // Before anything is made: the network driver's socket is the one with the longest name.
    const length = Buffer.byteLength(join(dir, LONGEST_SOCKET));
    if (length > MAX_SOCKET_PATH) {
      if (path === undefined) rmdirSync(dir);
      throw new StateDirError(
        `the path of the state directory is too long for sockets in it (${length} bytes with their names, UNIX sockets allow ${MAX_SOCKET_PATH}): ${dir}; choose a shorter ${path === undefined ? 'TMPDIR' : '--state-dir'}`,
      );
    }
    return dir;
  }

  /** Makes and locks the directory that was chosen. Throws StateDirError. */
  static async open(dir: string): Promise<StateDir> {
    const { flock } = native();
    const locks: FileHandle[] = [];
    try {
      await makeDirectories(dir);
      // What is in it is deleted below, and with it at the end: it has to be ours.
      const names = await readdir(dir);
      if (names.length > 0 && !names.includes('lock')) {
        throw new StateDirError(
          `${dir} is not empty and is no state directory (it has no file "lock"); choose a new or an empty one with --state-dir`,
        );
      }
      const whole = await open(dir, 'r');
      locks.push(whole);
      flock(whole.fd, false);
      const lock = await open(join(dir, 'lock'), 'w', 0o600);
      locks.push(lock);
      if (!flock(lock.fd, true)) {
        throw new StateDirError(
          `failed to lock ${join(dir, 'lock')}, another instance is running with the same state directory? Stop it, or choose another --state-dir`,
        );
      }
      // Whoever had it before may have removed it between our opening and our locking.
      if ((await lock.stat()).ino !== (await stat(join(dir, 'lock'))).ino) {
        throw new StateDirError(`${dir} was removed by another instance that was ending; try again`);
      }
      for (const name of await readdir(dir)) {
        if (name !== 'lock') await rm(join(dir, name), { recursive: true, force: true });
      }
    } catch (error) {
      for (const lock of locks) await lock.close();
      if (error instanceof StateDirError) throw error;
      throw new StateDirError(
        `cannot use the state directory ${dir}: ${explain(errorCode(error))}; choose another one with --state-dir`,
      );
    }
    return new StateDir(dir, locks);
  }

  write(name: string, text: string, mode = 0o644): string {
    const path = join(this.path, name);
    writeFileSync(path, text, { mode });
    return path;
  }

  /** Deletes the directory and gives up the lock. */
  async remove(): Promise<void> {
    try {
      // Synchronous: for a few files other threads take longer, and a program that ends waits for it.
      rmSync(this.path, { recursive: true, force: true });
    } finally {
      await Promise.all(this.locks.map((lock) => lock.close()));
    }
  }
}

/** As `mkdir -p`. Node's own recursive mkdir never returns below a directory such as /proc, where nothing can be made. */
async function makeDirectories(dir: string): Promise<void> {
  try {
    await mkdir(dir, { mode: 0o755 });
  } catch (error) {
    if (errorCode(error) === 'EEXIST') return;
    const above = dirname(dir);
    if (errorCode(error) !== 'ENOENT' || above === dir || (await exists(above))) throw error;
    await makeDirectories(above);
    await mkdir(dir, { mode: 0o755 });
  }
}

function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}

function makeTemporary(): string {
  try {
    return mkdtempSync(join(resolve(tmpdir()), 'rootless-run-'));
  } catch (error) {
    throw new StateDirError(
      `cannot make a temporary state directory in ${tmpdir()}: ${explain(errorCode(error))}; set TMPDIR, or use --state-dir`,
    );
  }
}

function explain(code: string): string {
  const meanings: Record<string, string> = {
    EACCES: 'permission denied',
    EPERM: 'not permitted',
    EROFS: 'the file system is read-only',
    ENOTDIR: 'a part of its path is not a directory',
    EEXIST: 'it is not a directory',
    ENOSPC: 'no space is left',
    ENAMETOOLONG: 'its name is too long',
    ENOENT: 'a part of its path does not exist',
  };
  return meanings[code] ?? code;
}
