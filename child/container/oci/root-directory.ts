import { statSync } from 'node:fs';
import type { ContainerRequest } from '../../../protocol/containers/types.js';
import { errnoText } from '../../../protocol/errors/errno-text.js';
import { errnoName } from '../../../protocol/errors/error-text.js';
import { ContainerError } from '../errors.js';

/** Checks a container's root file system, or its bundle. Throws ContainerError. */
export function checkRootDirectory({ rootfs, bundle }: ContainerRequest): void {
  if (rootfs !== undefined) checkRoot(rootfs, '--rootfs');
  else checkDirectory(bundle ?? '', 'OCI bundle', '--bundle');
}

/**
 * @param where the option or the file that names it
 * @throws ContainerError where the directory cannot be a container's root
 */
export function checkRoot(directory: string, where: string): void {
  checkDirectory(directory, 'root file system', where);
  if (!isRoot(directory)) return;
  // Runtimes cannot pivot to it, and programs would change the host's own files.
  throw new ContainerError(`cannot use the root file system ${directory} (${where}): it is the host's own`, 400, {
    hint: 'use a directory with a copy of one; rootless-run COMMAND runs programs of the host',
  });
}

function checkDirectory(directory: string, what: string, option: string): void {
  let isDirectory: boolean;
  try {
    isDirectory = statSync(directory).isDirectory();
  } catch (error) {
    const code = errnoName(error);
    if (code === '') throw error;
    throw new ContainerError(`cannot use the ${what} ${directory} (${option}): ${errnoText(code)}`);
  }
  if (!isDirectory) throw new ContainerError(`cannot use the ${what} ${directory} (${option}): it is not a directory`);
}

function isRoot(directory: string): boolean {
  const [root, given] = ['/', directory].map((path) => statSync(path));
  return root?.dev === given?.dev && root?.ino === given?.ino;
}
