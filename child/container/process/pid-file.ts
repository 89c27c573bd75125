import { rm } from 'node:fs/promises';
import { readText } from '../storage/atomic-files.js';

/** Removes the file of --pidfile where it has that pid: otherwise it is another container's. Never throws. */
export async function removePidFile(path: string | undefined, pid: number | undefined): Promise<void> {
  if (path === undefined || pid === undefined) return;
  // An unreadable one is left: the container has ended anyway.
  const text = await readText(path).catch(() => undefined);
  if (text?.trim() === String(pid)) await rm(path, { force: true }).catch(() => {});
}
