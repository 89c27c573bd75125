/** Directories that are made for a stack, and removed again where it does not start. */
import { lstatSync, mkdirSync, mkdtempSync, rmdirSync, type Stats } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { errnoText } from '../../protocol/errors/errno-text.js';
import { errnoName, StateDirError } from '../errors.js';

/**
 * Like `mkdir -p`; `made` gets the directories that were missing. (Node's own recursive mkdir never returns below a
 * directory such as /proc, where nothing can be made.) Throws the errors of mkdir(2).
 */
export function makeDirectories(dir: string, made: string[], mode: number): void {
  try {
    mkdirSync(dir, { mode });
    made.push(dir);
  } catch (error) {
    if (errnoName(error) === 'EEXIST') return;
    const above = dirname(dir);
    if (errnoName(error) !== 'ENOENT' || above === dir || lstatSync(above, { throwIfNoEntry: false })) throw error;
    makeDirectories(above, made, mode);
    mkdirSync(dir, { mode });
    made.push(dir);
  }
}

/** Removes what makeDirectories() has made, the last first; stops at one that is in use by now. */
export function removeMade(made: readonly string[]): void {
  for (const dir of made.toReversed()) {
    try {
      rmdirSync(dir);
    } catch {
      return;
    }
  }
}

/** Throws StateDirError. */
export function makeTemporary(prefix: string): string {
  try {
    return mkdtempSync(join(resolve(tmpdir()), prefix));
  } catch (error) {
    throw new StateDirError(
      `cannot make a temporary state directory in ${tmpdir()}: ${errnoText(errnoName(error))}; set TMPDIR, or use --state-dir`,
    );
  }
}

/** Of the entry itself, where it is a link; undefined if there is none, or it cannot be known. */
export function lstatIfThere(path: string): Stats | undefined {
  try {
    return lstatSync(path, { throwIfNoEntry: false });
  } catch {
    return undefined;
  }
}
