/**
 * The stack that runs with a state directory, and what has started it: its cgroup has the unit's name (cgroups(7),
 * systemd.slice(5)).
 */

import { readFile } from 'node:fs/promises';
import { statePath } from '../../protocol/state/state-layout.js';
import { lockHolder } from '../state/lock-holder.js';
import { SERVICE } from './units.js';

export interface RunningStack {
  /** Pid of its main process. */
  pid: number;
  /** The user's service, the system's of that unit, or a process of its own, as rootless-net starts it. */
  by: 'user-service' | 'system-service' | 'itself';
}

/** Undefined if none runs. `systemService` is the name of the user's unit in the system's manager. */
export async function runningStack(stateDir: string, systemService: string): Promise<RunningStack | undefined> {
  const pid = await lockHolder(statePath(stateDir, 'lock'));
  if (pid === undefined) return undefined;
  return { pid, by: startedBy(await readFile(`/proc/${pid}/cgroup`, 'utf8').catch(() => ''), systemService) };
}

/** By the text of /proc/PID/cgroup. */
export function startedBy(cgroups: string, systemService: string): RunningStack['by'] {
  const units = cgroups.split(/[/\n]/);
  if (units.includes(systemService)) return 'system-service';
  return units.includes(SERVICE) ? 'user-service' : 'itself';
}
