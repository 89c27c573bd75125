import { accessSync, constants, existsSync, statSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import type { Problem } from '../errors.js';

/** Directories of system programs, which PATH lacks for users on Debian; sudo's secure_path has them. */
const SYSTEM_DIRECTORIES = ['/usr/local/sbin', '/usr/sbin', '/sbin'];

/**
 * PATH with the system's directories appended; undefined if it has them, or where text cannot represent it.
 */
export function withSystemDirectories(path: string | undefined): string | undefined {
  if (!path || path.includes('\uFFFD')) return undefined;
  const own = path.split(delimiter);
  const missing = SYSTEM_DIRECTORIES.filter((directory) => !own.includes(directory));
  return missing.length === 0 ? undefined : [...own, ...missing].join(delimiter);
}

/**
 * Full path of a program on PATH or in the system's directories; undefined if there is none. Synchronous, since the
 * start waits for it: a system call takes less time than handing it to another thread.
 */
export function findProgram(name: string): string | undefined {
  if (name.includes('/')) return isExecutable(name) ? name : undefined;
  for (const dir of [...(process.env.PATH ?? '').split(delimiter), ...SYSTEM_DIRECTORIES]) {
    if (dir === '') continue;
    const path = join(dir, name);
    if (isExecutable(path)) return path;
  }
  return undefined;
}

export interface WantedProgram {
  /** The value of the option, or its default. */
  binary: string;
  /** The option, such as `--pasta-binary`. */
  option: string;
  /** The option's default, and its Debian package. */
  usual: { name: string; package: string };
}

/** Why findProgram() does not find it. */
export function missingProgram({ binary, option, usual }: WantedProgram): Problem {
  if (binary === usual.name) {
    return { what: `${binary} is not installed`, fix: `sudo apt-get install ${usual.package}` };
  }
  const why = !binary.includes('/')
    ? 'not found in PATH'
    : existsSync(binary)
      ? 'it is not an executable file'
      : 'no such file';
  return { what: `${option}=${binary}: ${why}`, fix: `name a program, or leave ${option} out` };
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}
