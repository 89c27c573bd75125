/**
 * Descriptors that a service manager passes to this process (sd_listen_fds(3)). Other descriptors that this process was
 * started with cannot be distinguished from Node's own, which closes all of them on exec.
 */
import { fstatSync } from 'node:fs';

/** The first descriptor after the standard streams, and the first that systemd passes (SD_LISTEN_FDS_START). */
export const FIRST_FD = 3;

const VARIABLES = ['LISTEN_PID', 'LISTEN_FDS', 'LISTEN_FDNAMES'] as const;

export interface PassedDescriptor {
  fd: number;
  /** FileDescriptorName= of systemd.socket(5); "" if it has none. */
  name: string;
}

/** The descriptors that the variables announce for this process; they need not be open. */
export function passedDescriptors(env: NodeJS.ProcessEnv = process.env): PassedDescriptor[] {
  if (!isForThisProcess(env)) return [];
  const count = Number(env.LISTEN_FDS ?? 0);
  const names = (env.LISTEN_FDNAMES ?? '').split(':');
  return Array.from({ length: Number.isInteger(count) ? count : 0 }, (_, index) => ({
    fd: FIRST_FD + index,
    name: names[index] ?? '',
  }));
}

/** Descriptors that the command inherits, under the same numbers; none if one of them is not open. */
export function inheritedDescriptors(env: NodeJS.ProcessEnv = process.env): number[] {
  const descriptors = passedDescriptors(env).map(({ fd }) => fd);
  return descriptors.every(isOpen) ? descriptors : [];
}

/**
 * Changes to the environment of the launcher, which replaces the pid in it by the command's. Variables that are for
 * another process, though this one inherited them, are removed.
 */
export function activationVariables(env: NodeJS.ProcessEnv = process.env): Record<string, undefined> {
  return isForThisProcess(env) ? {} : Object.fromEntries(VARIABLES.map((name) => [name, undefined]));
}

/** Removes the variables, so that no other process sees them. */
export function removeActivationVariables(env: NodeJS.ProcessEnv = process.env): void {
  for (const name of VARIABLES) delete env[name];
}

function isForThisProcess(env: NodeJS.ProcessEnv): boolean {
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
