/** Opens files in directories that others may write to: without following links, and only if the file is our own. */
import { closeSync, constants, fstatSync, ftruncateSync, openSync } from 'node:fs';
import { FileError } from '../errors/file-error.js';

/** The path is not a regular file of our own. */
export class NotOwnFileError extends FileError {
  override name = 'NotOwnFileError';
  constructor(path: string, reason: string) {
    super('EPERM', reason, `cannot use ${path}: ${reason}; hint: move it away`);
  }
}

/**
 * Opens a file for reading and writing, and creates it if it does not exist. It has to be our own regular file with one
 * name: another user's file, a FIFO, or a hard link to a file elsewhere is refused. Its content is kept unless `truncate` is
 * set. Throws NotOwnFileError, or the errors of open(2): ELOOP for a symbolic link.
 */
export function openOwnFile(path: string, { mode = 0o600, truncate = false } = {}): number {
  const { O_CREAT, O_NOCTTY, O_NOFOLLOW, O_NONBLOCK, O_RDWR } = constants;
  const fd = openSync(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY, mode);
  try {
    const { uid, nlink, ...stat } = fstatSync(fd);
    const self = process.geteuid?.() ?? uid;
    if (!isRegular(stat.mode)) throw new NotOwnFileError(path, 'it is not a regular file');
    if (uid !== self) throw new NotOwnFileError(path, `it belongs to uid ${uid}, not to you (uid ${self})`);
    if (nlink > 1) throw new NotOwnFileError(path, 'it has more than one name (hard links)');
    if (truncate) ftruncateSync(fd);
    return fd;
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

function isRegular(mode: number): boolean {
  return (mode & constants.S_IFMT) === constants.S_IFREG;
}
