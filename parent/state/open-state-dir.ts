/** Opens a state directory: makes it, checks that it is ours and a state directory, locks it, and removes what is left in it. */
import { closeSync, fstatSync, ftruncateSync, readSync } from 'node:fs';
import { native } from '../../native/index.js';
import { errnoText } from '../../protocol/errors/errno-text.js';
import { isRunning } from '../../protocol/state/stack-record.js';
import { readStackRecord } from '../../protocol/state/stack-record-file.js';
import { STATE_FILES, statePath } from '../../protocol/state/state-layout.js';
import { NotOwnFileError, openOwnFile } from '../../protocol/system/own-file.js';
import { errnoName, errorText, reasonText, StateDirError, StateDirLockedError } from '../errors.js';
import { checkEntries, removeEntries } from './entries.js';
import { lstatIfThere, makeDirectories } from './make-directories.js';
import { PinnedDirectory } from './pinned-directory.js';

const WRITABLE_BY_OTHERS = 0o022;

/** A state directory that this process holds the lock of. */
export interface OpenStateDir {
  directory: PinnedDirectory;
  /** Descriptor of the lock. */
  lock: number;
}

export interface OpenOptions {
  /** Gets the directories that are made for it. */
  made: string[];
  mode?: number;
  /**
   * For a stack that has lost its directory, and whose agent may already have made files in the new one, such as for a
   * container that was started since: they are kept.
   */
  recreate?: boolean;
}

/** Undefined if another instance has removed the directory meanwhile. Throws StateDirError. */
export function openStateDir(
  dir: string,
  { made, mode = 0o755, recreate = false }: OpenOptions,
): OpenStateDir | undefined {
  let directory: PinnedDirectory | undefined;
  let lock: number | undefined;
  let done = false;
  try {
    makeDirectories(dir, made, mode);
    directory = PinnedDirectory.open(dir);
    checkOwner(directory, dir);
    const hasLock = directory.entry(STATE_FILES.lock) !== undefined;
    if (!hasLock && !recreate && directory.names().length > 0) {
      throw new StateDirError(
        `${dir} is not empty and is not a state directory (it has no file "${STATE_FILES.lock}"); choose a new or an empty one with --state-dir`,
      );
    }
    native().flock(directory.fd, false);
    lock = openLock(directory, dir);
    if (lock === undefined) return undefined;
    checkEntries(directory, dir);
    checkLock(lock, dir);
    if (hasLock || !recreate) removeEntries(directory, dir);
    // Its content is of a stack that has ended.
    ftruncateSync(lock, 0);
    done = true;
    return { directory, lock };
  } catch (error) {
    if (error instanceof StateDirError) throw error;
    throw new StateDirError(
      `cannot use the state directory ${dir}: ${explain(error, dir)}; choose another one with --state-dir`,
    );
  } finally {
    if (!done) {
      if (lock !== undefined) closeSync(lock);
      directory?.close();
    }
  }
}

/** The descriptor that holds the lock; undefined if the directory has been removed meanwhile. Throws StateDirError. */
export function openLock(directory: PinnedDirectory, dir: string): number | undefined {
  const path = statePath(dir, 'lock');
  let lock: number;
  try {
    lock = openOwnFile(directory.at(STATE_FILES.lock));
  } catch (error) {
    if (errnoName(error) === 'ENOENT') return undefined;
    const isLink = errnoName(error) === 'ELOOP';
    if (!isLink && !(error instanceof NotOwnFileError)) throw error;
    throw new StateDirError(
      `cannot use ${path} as the lock of a state directory: ${isLink ? 'it is a symbolic link' : reasonText(error)}; choose another directory with --state-dir`,
    );
  }
  if (!native().flock(lock, true)) {
    closeSync(lock);
    throw new StateDirLockedError(
      `failed to lock ${path}, another instance is running with the same state directory${holderOf(path)}`,
      { hint: `rootless-run stop ${dir}, or choose another --state-dir` },
    );
  }
  // The last holder may have removed it between our open and our lock.
  if (directory.entry(STATE_FILES.lock)?.ino === fstatSync(lock).ino) return lock;
  closeSync(lock);
  return undefined;
}

/** Throws StateDirError if others could change what is in it, or own it. */
function checkOwner(directory: PinnedDirectory, dir: string): void {
  const { uid, mode } = directory.stat();
  const self = process.geteuid?.() ?? uid;
  if (uid !== self) {
    throw new StateDirError(
      `cannot use the state directory ${dir}: it belongs to uid ${uid}, not to you (uid ${self}); choose another one with --state-dir`,
    );
  }
  if ((mode & WRITABLE_BY_OTHERS) !== 0) {
    throw new StateDirError(
      `cannot use the state directory ${dir}: others may write to it (mode ${(mode & 0o7777).toString(8).padStart(4, '0')}); hint: chmod go-w ${dir}`,
    );
  }
}

/** Throws StateDirError if the file has content that no stack writes: neither a record nor nothing. */
function checkLock(lock: number, dir: string): void {
  const beginning = Buffer.alloc(1);
  if (readSync(lock, beginning, 0, 1, 0) === 0 || beginning.toString() === '{') return;
  throw new StateDirError(
    `${dir} is not a state directory: its file "${STATE_FILES.lock}" is not that of a stack; choose a new or an empty one with --state-dir`,
  );
}

/** The process that has the lock, in brackets, where its record has it. */
function holderOf(lock: string): string {
  const record = readStackRecord(lock);
  return record && isRunning(record) ? ` (pid ${record.process.pid})` : '';
}

function explain(error: unknown, dir: string): string {
  const code = errnoName(error);
  if (code === 'ENOTDIR' || code === 'ELOOP') {
    const entry = lstatIfThere(dir);
    if (entry?.isSymbolicLink()) return 'it is a symbolic link; name the directory itself';
    if (entry) return 'it is not a directory';
  }
  return errnoText(code) || errorText(error);
}
