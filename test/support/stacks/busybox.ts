import { findProgram } from '../../setup/machine/requirements.js';

/** Path of a busybox that runs in a root file system which has nothing else. Throws where there is none. */
export function staticBusybox(): string {
  const path = findProgram('busybox');
  if (path === undefined) throw new Error('there is no busybox that is static (Debian: busybox-static)');
  return path;
}
