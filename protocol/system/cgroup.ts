/**
 * Cgroups of version 2 (cgroups(7)). Parent and agent see the same paths below /sys/fs/cgroup, unless the stack has a cgroup
 * namespace.
 */
import { readFileSync, statfsSync } from 'node:fs';
import { join } from 'node:path';

export const CGROUP_ROOT = '/sys/fs/cgroup';

/** CGROUP2_SUPER_MAGIC of statfs(2). */
const CGROUP2_MAGIC = 0x63677270;

/** The cgroup below which the containers of a stack have theirs. */
export interface StackCgroup {
  /** Below CGROUP_ROOT, as the parent sees it. */
  path: string;
  /** Name of the cgroup in it that has the stack's own processes; "" if they are in `path` itself. */
  leaf: string;
}

/** Whether there is only version 2; otherwise OCI runtimes use version 1. */
export function isUnified(): boolean {
  try {
    return statfsSync(CGROUP_ROOT).type === CGROUP2_MAGIC;
  } catch {
    return false;
  }
}

/** Path of a process's cgroup, from the root of our cgroup namespace; undefined if it has none or has ended. */
export function cgroupOf(pid: number | 'self'): string | undefined {
  try {
    return /^0::(.*)$/m.exec(readFileSync(`/proc/${pid}/cgroup`, 'utf8'))?.[1];
  } catch {
    return undefined;
  }
}

/** Pids in a cgroup, in our pid namespace; 0 for processes outside of it. Throws a system error if the cgroup does not exist. */
export function processesIn(directory: string): number[] {
  return (readFileSync(join(directory, 'cgroup.procs'), 'utf8').match(/\d+/g) ?? []).map(Number);
}
