/** How many threads of the engine relay the connections of published ports. */
import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { dirname, join } from 'node:path';
import { CGROUP_ROOT, cgroupOf } from '../../protocol/system/cgroup.js';

/** The most that can be requested. */
export const MAX_PORT_THREADS = 16;

/** The most that are started without a request. */
const USUAL_PORT_THREADS = 4;

/**
 * Without a request. On two CPUs a relay shares them with its clients and servers, and a second thread would gain nothing.
 *
 * @param cpus that this process may use
 */
export function usualPortThreads(cpus: number): number {
  return cpus <= 2 ? 1 : Math.min(cpus, USUAL_PORT_THREADS);
}

/** CPUs that this process may use: by its affinity (sched_getaffinity(2)), and by the quotas of its cgroups. */
export function availableCPUs(): number {
  const cpus = availableParallelism();
  const cgroup = cgroupOf('self');
  return cpus <= 2 || cgroup === undefined ? cpus : Math.min(cpus, cgroupCPUs(CGROUP_ROOT, cgroup));
}

/** Whole CPUs that the quotas of a cgroup and those above it leave (cgroups(7), cpu.max); at least 1. */
export function cgroupCPUs(root: string, cgroup: string): number {
  let cpus = Number.POSITIVE_INFINITY;
  for (let path = join('/', cgroup); ; path = dirname(path)) {
    const [quota, period] = quotaOf(join(root, path, 'cpu.max'));
    if (quota > 0 && period > 0) cpus = Math.min(cpus, Math.floor(quota / period));
    if (path === '/') return Math.max(cpus, 1);
  }
}

/** In µs; 0 where there is no limit. */
function quotaOf(file: string): [quota: number, period: number] {
  try {
    const [, quota = 0, period = 0] = /^(\d+) (\d+)/.exec(readFileSync(file, 'utf8')) ?? [];
    return [Number(quota), Number(period)];
  } catch {
    // The controller is not enabled there.
    return [0, 0];
  }
}
