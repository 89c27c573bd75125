/**
 * File operations that the system refuses: the disk is full, a directory belongs to another user, descriptors have run out. The
 * user can fix these, so they are reported in one line, with the path and the reason.
 *
 * Node's errors have `code`, `syscall`, and `path` unless a descriptor was used (write(2) on a full disk names none): onFile()
 * adds the path.
 */
import { lstatSync } from 'node:fs';
import { dirname } from 'node:path';
import { errnoText } from './errno-text.js';
import { ExpectedError, type HTTPStatus } from './expected-error.js';

/** A file operation that the system refused. The message is one complete line. */
export class FileError extends ExpectedError {
  override name = 'FileError';
  override readonly code: string = 'file';
  /** 507 if no space is left, 503 for exhausted limits, else 500. */
  override readonly httpStatus: HTTPStatus;
  constructor(
    /** Name of the errno, such as ENOSPC. */
    readonly errno: string,
    /** Why it was refused, to follow the path. */
    readonly reason: string,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
    this.httpStatus = FULL.includes(errno) ? 507 : EXHAUSTED.includes(errno) ? 503 : 500;
  }
}

const FULL: readonly string[] = ['ENOSPC', 'EDQUOT', 'EFBIG'];
/** Errors about the machine or its limits, whatever the operation. */
const EXHAUSTED: readonly string[] = ['EMFILE', 'ENFILE', 'ENOMEM'];
const REFUSED: readonly string[] = ['EACCES', 'EPERM'];

/** Verbs by system call. Errors of other calls, such as connect, are not about files. */
const VERBS: Readonly<Record<string, string>> = {
  access: 'read',
  chmod: 'change the mode of',
  fchmod: 'change the mode of',
  copyfile: 'copy',
  fsync: 'write',
  fdatasync: 'write',
  ftruncate: 'write',
  link: 'make',
  lstat: 'read',
  mkdir: 'make the directory',
  mkdtemp: 'make the directory',
  open: 'open',
  opendir: 'list',
  read: 'read',
  readlink: 'read',
  rename: 'replace',
  rm: 'remove',
  rmdir: 'remove',
  scandir: 'list',
  stat: 'read',
  symlink: 'make',
  unlink: 'remove',
  watch: 'watch',
  write: 'write',
  writev: 'write',
};

interface SystemError extends Error {
  code: string;
  syscall?: string;
  path?: string;
  dest?: string;
}

function isSystemError(error: unknown): error is SystemError {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' && /^E[A-Z0-9]+$/.test(error.code);
}

/**
 * The error, or its cause, as a FileError; undefined if it is not about files or limits of the machine.
 *
 * @param path of the file, for errors that do not name it
 */
export function fileErrorOf(error: unknown, path?: string): FileError | undefined {
  if (error instanceof FileError) return error;
  if (!isSystemError(error)) return error instanceof Error && error.cause ? fileErrorOf(error.cause, path) : undefined;
  const { code, syscall = '' } = error;
  const verb = VERBS[syscall];
  const file = error.dest ?? error.path ?? path;
  if (verb === undefined) {
    if (![...EXHAUSTED, ...FULL].includes(code)) return undefined;
    return new FileError(code, errnoText(code), `${syscall || 'a system call'} failed: ${errnoText(code)}`, {
      cause: error,
    });
  }
  const reason = `${meaning(code, syscall)}${file === undefined ? '' : hint(code, file)}`;
  return new FileError(code, reason, `cannot ${verb} ${file ?? 'a file'}: ${reason}`, { cause: error });
}

function meaning(code: string, syscall: string): string {
  return code === 'EEXIST' && syscall === 'mkdir' ? 'it is not a directory' : errnoText(code);
}

/** The uid that a user namespace shows for users that are not mapped (user_namespaces(7)). */
const OVERFLOW_UID = 65534;

/** The visible reason, and what to do. */
function hint(code: string, path: string): string {
  if (FULL.includes(code)) return '; hint: make room there';
  if (!REFUSED.includes(code)) return '';
  for (let above = path; ; above = dirname(above)) {
    const stat = look(above);
    if (stat === undefined && above !== dirname(above)) continue;
    const self = process.geteuid?.();
    if (stat?.uid === OVERFLOW_UID) return `; hint: ${above} belongs to another user of the host`;
    if (stat && stat.uid !== self) return `; hint: ${above} belongs to uid ${stat.uid}, you are uid ${self}`;
    return stat ? `; hint: see ls -ld ${above}` : '';
  }
}

function look(path: string) {
  try {
    return lstatSync(path);
  } catch {
    return undefined;
  }
}

/** Runs `task`, an operation on the file at that path. Throws FileError if the system refuses it. */
export function onFile<T>(path: string, task: () => T): T {
  const explained = (error: unknown): never => {
    throw fileErrorOf(error, path) ?? error;
  };
  try {
    const result = task();
    return result instanceof Promise ? (result.catch(explained) as T) : result;
  } catch (error) {
    return explained(error);
  }
}
