/** The file of --cidfile, which contains the ID of a container. */
import { closeSync, openSync, rmSync, writeSync } from 'node:fs';
import { UsageError } from '../../../parent/errors.js';
import { errnoName } from '../../../protocol/errors/error-text.js';
import { onFile } from '../../../protocol/errors/file-error.js';

/**
 * Creates something, and writes its ID to the file if there is a path.
 *
 * @param undo removes it again if the ID cannot be written
 * @throws UsageError if the file exists, before anything is created; FileError if it cannot be created
 */
export async function withIdFile<T extends { id: string }>(
  path: string | undefined,
  make: () => Promise<T>,
  undo: (made: T) => Promise<void>,
): Promise<T> {
  if (path === undefined) return make();
  const fd = openNew(path);
  let made: T | undefined;
  try {
    made = await make();
    const { id } = made;
    onFile(path, () => writeSync(fd, id));
    return made;
  } catch (error) {
    if (made) await undo(made);
    rmSync(path, { force: true });
    throw error;
  } finally {
    closeSync(fd);
  }
}

/** For a container that was removed. */
export function removeIdFile(path: string | undefined): void {
  if (path !== undefined) rmSync(path, { force: true });
}

/** Throws UsageError and FileError. */
function openNew(path: string): number {
  try {
    return onFile(path, () => openSync(path, 'wx', 0o644));
  } catch (error) {
    if (errnoName(error) !== 'EEXIST') throw error;
    throw new UsageError(`the container id file ${path} (--cidfile) exists`, {
      hint: 'if the container is no longer needed, remove the file',
    });
  }
}
