/** The meaning of an errno for a file, to follow its path in a message; its name if there is no text for it. */
export function errnoText(code: string): string {
  return Object.hasOwn(TEXTS, code) ? (TEXTS[code] ?? code) : code;
}

const TEXTS: Readonly<Record<string, string>> = {
  EACCES: 'permission denied',
  EBADF: 'it is closed, or not open for this',
  EBUSY: 'it is in use, or something is mounted there',
  EDQUOT: 'the disk quota is used up',
  EEXIST: 'it exists already',
  EFBIG: 'the file is too large',
  EIO: 'input/output error of the disk',
  EISDIR: 'it is a directory',
  ELOOP: 'it is a symbolic link, or one of too many',
  EMFILE: 'too many open files; raise the limit (ulimit -n)',
  ENAMETOOLONG: 'the name is too long',
  ENFILE: 'too many open files on this machine',
  ENODEV: 'no such device',
  ENOENT: 'no such file or directory',
  ENOMEM: 'out of memory',
  ENOSPC: 'no space is left on its file system',
  ENOTDIR: 'a part of the path is not a directory',
  ENOTEMPTY: 'the directory is not empty',
  ENXIO: 'no such device',
  EPERM: 'not permitted',
  EROFS: 'its file system is read-only',
  ESTALE: 'its file system is gone',
  ETXTBSY: 'the program is running',
};
