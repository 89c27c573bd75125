/**
 * Sockets that a service manager has opened for the command (sd_listen_fds(3)): it gets them under the same numbers. Other
 * descriptors that we were started with are not told from Node's own, which closes all of them on exec.
 */
import { fstatSync } from 'node:fs';

/** The first descriptor after the standard streams, and the first that systemd passes (SD_LISTEN_FDS_START). */
export const FIRST_FD = 3;

/** The descriptors that were passed to us, from FIRST_FD on. */
export function inheritedDescriptors(env: NodeJS.ProcessEnv = process.env): number[] {
  if (!isForUs(env)) return [];
  const count = Number(env.LISTEN_FDS ?? 0);
  const descriptors = Array.from({ length: Number.isInteger(count) ? count : 0 }, (_, index) => FIRST_FD + index);
  return descriptors.every(isOpen) ? descriptors : [];
}

/**
 * The variables of socket activation, as the launcher is to have them: it puts the command's pid for ours. Those that are
 * meant for another process, though we inherited them, go no further.
 */
export function activation(env: NodeJS.ProcessEnv = process.env): Record<string, string | undefined> {
  return isForUs(env) ? {} : { LISTEN_PID: undefined, LISTEN_FDS: undefined, LISTEN_FDNAMES: undefined };
}

function isForUs(env: NodeJS.ProcessEnv): boolean {
  return env.LISTEN_PID === String(process.pid);
}

function isOpen(fd: number): boolean {
  try {
    fstatSync(fd);
    return true;
  } catch {
    return false;
  }
}
