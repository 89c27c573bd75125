/**
 * The state directory: a stack holds a lock on it while it runs, and owns what is in it; see
 * protocol/state/state-layout.ts for the entries.
 *
 * One that was left behind (SIGKILL) is no longer locked, and is reused. The directory itself is locked too, in shared
 * mode, which keeps systemd-tmpfiles from cleaning it up (tmpfiles.d(5)).
 *
 * Since it is cleaned, and removed at the end, it has to be ours: a directory of this user that no other user may write
 * to, with no entry that a stack does not make. It is held by a descriptor once it is open, and entries are made and
 * removed there by name, whatever its path leads to meanwhile.
 */
import {
  closeSync,
  constants,
  fchmodSync,
  fstatSync,
  ftruncateSync,
  openSync,
  rmdirSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { resolve } from 'node:path';
import { native } from '../../native/index.js';
import { errnoText } from '../../protocol/errors/errno-text.js';
import { MAX_SOCKET_PATH, STATE_FILES, type StateFile, statePath } from '../../protocol/state/state-layout.js';
import { errnoName, errorText, StateDirError } from '../errors.js';
import { listNames, removeEntries } from './entries.js';
import { lstatIfThere, makeTemporary, removeMade } from './make-directories.js';
import { type OpenStateDir, openLock, openStateDir } from './open-state-dir.js';

const LONGEST_SOCKET: StateFile = 'slirp4netnsSocket';
/** How often a directory that another instance has just removed is made again. */
const ATTEMPTS = 5;

export interface ChosenDirectory {
  /** Absolute. */
  path: string;
  /** Made for this run. */
  temporary: boolean;
}

export class StateDir {
  /** Path of the API socket. */
  readonly socket: string;

  /** What was written, should it have to be written again. */
  readonly #files = new Map<StateFile, { text: string; mode: number }>();
  #record = '';

  private constructor(
    readonly path: string,
    private opened: OpenStateDir,
  ) {
    this.socket = statePath(path, 'apiSocket');
  }

  /**
   * The path of the directory; of a new temporary one where none is given. Throws StateDirError or NativeMissingError.
   */
  static choose(path: string | undefined, prefix = 'rootless-run-'): ChosenDirectory {
    // Without the native part nothing can be locked: no directory is to be made then.
    native();
    const temporary = path === undefined;
    const dir = temporary ? makeTemporary(prefix) : resolve(path);
    const length = Buffer.byteLength(statePath(dir, LONGEST_SOCKET));
    if (length > MAX_SOCKET_PATH) {
      if (temporary) rmdirSync(dir);
      throw new StateDirError(
        `the path of the state directory is too long for sockets in it (${length} bytes with their names, UNIX sockets allow ${MAX_SOCKET_PATH}): ${dir}; choose a shorter ${temporary ? 'TMPDIR' : '--state-dir'}`,
      );
    }
    return { path: dir, temporary };
  }

  /** Makes, checks, locks and cleans the directory that was chosen. Throws StateDirError, and then it is as it was. */
  static open({ path, temporary }: ChosenDirectory): StateDir {
    const made = temporary ? [path] : [];
    try {
      for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
        const opened = openStateDir(path, { made });
        if (opened) return new StateDir(path, opened);
      }
      throw new StateDirError(`${path} was removed repeatedly by other instances that are ending; try again`);
    } catch (error) {
      removeMade(made);
      throw error;
    }
  }

  /** Writes a new file, with that mode whatever the umask; returns its path. Throws StateDirError. */
  write(name: StateFile, text: string, mode = 0o644): string {
    const path = statePath(this.path, name);
    this.#files.set(name, { text, mode });
    try {
      const fd = openSync(this.opened.directory.at(STATE_FILES[name]), 'wx', mode);
      try {
        fchmodSync(fd, mode);
        writeFileSync(fd, text);
      } finally {
        closeSync(fd);
      }
    } catch (error) {
      throw new StateDirError(`cannot write ${path}: ${errnoText(errnoName(error))}`);
    }
    return path;
  }

  /** Replaces the record of the stack in the lock. Throws StateDirError. */
  record(text: string): void {
    const { lock } = this.opened;
    this.#record = text;
    try {
      // The new text first, then what is left of the old one: a reader sees either, or tries again.
      writeSync(lock, text, 0);
      ftruncateSync(lock, Buffer.byteLength(text));
    } catch (error) {
      throw new StateDirError(`cannot write ${statePath(this.path, 'lock')}: ${errnoText(errnoName(error))}`);
    }
  }

  /** Whether its path still leads to it, with its lock and its API socket. */
  isInPlace(): boolean {
    return this.#isThere() && this.#hasLock() && this.opened.directory.entry(STATE_FILES.apiSocket) !== undefined;
  }

  /**
   * Recreates what is missing: the directory, where its path leads to another one or to none, as after a logout that
   * removed $XDG_RUNTIME_DIR; the lock; the files that were written; but not sockets. Throws StateDirError, also where
   * another stack has the directory by now.
   */
  renew(): void {
    if (!this.#isThere()) this.#recreate();
    else if (!this.#hasLock()) this.#lockAgain();
    this.record(this.#record);
    for (const [name, { text, mode }] of this.#files) {
      if (!this.opened.directory.entry(STATE_FILES[name])) this.write(name, text, mode);
    }
  }

  #recreate(): void {
    const made: string[] = [];
    let opened: OpenStateDir | undefined;
    try {
      opened = openStateDir(this.path, { made, mode: 0o700, recreate: true });
    } finally {
      if (!opened) removeMade(made);
    }
    if (!opened) throw new StateDirError(`${this.path} is removed while it is recreated`);
    // Its files stay: the old directory may still be mounted, and used, inside.
    this.#close();
    this.opened = opened;
  }

  #lockAgain(): void {
    const { directory, lock: old } = this.opened;
    const lock = openLock(directory, this.path);
    if (lock === undefined) throw new StateDirError(`${this.path} is removed while it is recreated`);
    closeSync(old);
    this.opened = { directory, lock };
  }

  #isThere(): boolean {
    const own = this.opened.directory.stat();
    const there = lstatIfThere(this.path);
    return there?.ino === own.ino && there.dev === own.dev;
  }

  #hasLock(): boolean {
    const { directory, lock } = this.opened;
    return directory.entry(STATE_FILES.lock)?.ino === fstatSync(lock).ino;
  }

  #close(): void {
    closeSync(this.opened.lock);
    this.opened.directory.close();
  }

  /** A descriptor, for reading and writing, of a file that write() has made. Throws StateDirError. */
  open(name: StateFile): number {
    try {
      return openSync(this.opened.directory.at(STATE_FILES[name]), constants.O_RDWR | constants.O_NOFOLLOW);
    } catch (error) {
      throw new StateDirError(`cannot open ${statePath(this.path, name)}: ${errnoText(errnoName(error))}`);
    }
  }

  /**
   * Removes what a stack makes, then the directory, and releases the lock. Throws StateDirError if there are other
   * entries, or one cannot be removed: they are left, and the directory with them.
   */
  remove(): void {
    const { path } = this;
    const { directory } = this.opened;
    try {
      const foreign = removeEntries(directory, path);
      directory.remove(STATE_FILES.lock);
      if (foreign.length === 0) {
        directory.removeItself();
        return;
      }
      throw new StateDirError(
        `${path} is not removed: it has entries that a stack does not create: ${listNames(foreign)}`,
      );
    } catch (error) {
      if (error instanceof StateDirError) throw error;
      throw new StateDirError(`${path}: ${errnoText(errnoName(error)) || errorText(error)}`);
    } finally {
      this.#close();
    }
  }
}
