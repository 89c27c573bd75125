/**
 * A directory that is held by a descriptor, so that operations happen in it even if its path leads elsewhere by then.
 *
 * Node has no openat(2) or unlinkat(2); a path below /proc/self/fd/N is the same (proc(5)), as long as a link as its last
 * component is not followed.
 */
import {
  closeSync,
  constants,
  fstatSync,
  lstatSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmdirSync,
  type Stats,
  unlinkSync,
} from 'node:fs';
import { errnoName } from '../errors.js';

const { O_DIRECTORY, O_NOFOLLOW, O_RDONLY } = constants;

/** Deeper than anything below a state directory, and fewer than the allowed descriptors. */
const MAX_DEPTH = 100;

export class PinnedDirectory {
  private constructor(readonly fd: number) {}

  /** Throws the errors of open(2): ENOTDIR also where the last component is a symbolic link. */
  static open(path: string): PinnedDirectory {
    return new PinnedDirectory(openSync(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
  }

  stat(): Stats {
    return fstatSync(this.fd);
  }

  /** Path of an entry for system calls of this process; the name must not hold a slash. */
  at(name: string): string {
    return `/proc/self/fd/${this.fd}/${name}`;
  }

  names(): string[] {
    return readdirSync(this.at('.'));
  }

  /** Of the entry itself, also where it is a link. Undefined if there is none. */
  entry(name: string): Stats | undefined {
    return lstatSync(this.at(name), { throwIfNoEntry: false });
  }

  /** Entries of a directory below; none if it is not a directory, or a link to one. */
  entriesBelow(name: string): [name: string, entry: Stats][] {
    if (!this.entry(name)?.isDirectory()) return [];
    const below = PinnedDirectory.open(this.at(name));
    try {
      return below.names().flatMap((inner): [string, Stats][] => {
        const entry = below.entry(inner);
        return entry ? [[inner, entry]] : [];
      });
    } finally {
      below.close();
    }
  }

  /**
   * Removes an entry, a directory with all that is below it. Links are removed, not followed. Throws EBUSY if something
   * is mounted below, which is left, and the errors of the system calls.
   */
  remove(name: string): void {
    this.#remove(name, this.#mount(), 0);
  }

  #remove(name: string, mount: string, depth: number): void {
    const entry = this.entry(name);
    if (!entry) return;
    if (!entry.isDirectory()) {
      unlinkSync(this.at(name));
      return;
    }
    const below = PinnedDirectory.open(this.at(name));
    try {
      if (below.#mount() !== mount) throw errorOf('EBUSY', `something is mounted on ${name}`);
      if (depth === MAX_DEPTH) throw errorOf('ELOOP', `${name} has too many directories below it`);
      for (const inner of below.names()) below.#remove(inner, mount, depth + 1);
    } finally {
      below.close();
    }
    rmdirSync(this.at(name));
  }

  /** Id of its mount, which differs also for a bind mount of the same file system. */
  #mount(): string {
    return /^mnt_id:\s*(\d+)$/m.exec(readFileSync(`/proc/self/fdinfo/${this.fd}`, 'utf8'))?.[1] ?? '';
  }

  /**
   * Removes the directory itself, also where it was moved, unless it is not empty: another instance may have begun to use
   * it. Throws the errors of rmdir(2).
   */
  removeItself(): void {
    const path = readlinkSync(`/proc/self/fd/${this.fd}`);
    const own = this.stat();
    const there = lstatSync(path, { throwIfNoEntry: false });
    if (there?.ino !== own.ino || there.dev !== own.dev) return;
    try {
      rmdirSync(path);
    } catch (error) {
      if (errnoName(error) !== 'ENOTEMPTY') throw error;
    }
  }

  close(): void {
    closeSync(this.fd);
  }
}

function errorOf(code: string, message: string): Error {
  return Object.assign(new Error(message), { code });
}
