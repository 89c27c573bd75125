/**
 * Which processes hold locks of flock(2), from /proc/locks (proc(5)):
 *
 *   1: FLOCK  ADVISORY  WRITE 4242 00:2b:1337 0 EOF
 *
 * kind, mode, process, and the file as device (hexadecimal) and inode. The device is not compared: on overlayfs and btrfs
 * it differs from what stat(2) reports. The process's open files identify the file instead.
 */
import { readdir, readFile, readlink, realpath, stat } from 'node:fs/promises';
import { join } from 'node:path';

/** A file that a process has open. */
export interface OpenFile {
  /** Path by which it can be opened again after it was moved or removed: /proc/PID/fd/N. */
  link: string;
  /** With " (deleted)" appended where it has been removed. */
  path: string;
}

/** Pid of the process that holds an exclusive lock on the file; undefined if there is none, or no such file. */
export async function lockHolder(path: string): Promise<number | undefined> {
  const file = await stat(path).catch(() => undefined);
  if (!file) return undefined;
  const real = await realpath(path);
  for (const pid of holdersIn(await locksNow(), file.ino)) {
    const files = await openFiles(pid);
    if (files === undefined || files.some((open) => open.path === real)) return pid;
  }
  return undefined;
}

/** Pids of all processes with an exclusive lock that this process can see. */
export async function lockHolders(): Promise<number[]> {
  return [...new Set(holdersIn(await locksNow()))];
}

/** "" if the kernel has no such file (CONFIG_FILE_LOCKING), or /proc is not mounted. */
function locksNow(): Promise<string> {
  return readFile('/proc/locks', 'utf8').catch(() => '');
}

/**
 * Pids of the processes with an exclusive lock on a file of that inode, or on any file, from the text of /proc/locks;
 * without processes that this one cannot see.
 */
export function holdersIn(locks: string, inode?: number): number[] {
  const which = inode === undefined ? '\\d+' : `${inode}`;
  const pattern = new RegExp(`^\\d+: FLOCK +ADVISORY +WRITE (\\d+) [0-9a-f]+:[0-9a-f]+:${which} `, 'gm');
  return [...locks.matchAll(pattern)].map(([, pid]) => Number(pid)).filter((pid) => pid > 0);
}

/** A process's open files; undefined if they may not be read. */
export async function openFiles(pid: number): Promise<OpenFile[] | undefined> {
  const directory = `/proc/${pid}/fd`;
  const names = await readdir(directory).catch(() => undefined);
  return (
    names &&
    Promise.all(
      names.map(async (name) => {
        const link = join(directory, name);
        return { link, path: await readlink(link).catch(() => '') };
      }),
    )
  );
}
