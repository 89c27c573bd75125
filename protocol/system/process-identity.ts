/**
 * Identifies a process for good: pids are reused. Identities of containers' processes are recorded, and checked by later runs
 * of the stack.
 */
import { readFileSync, readlinkSync } from 'node:fs';

export interface ProcessIdentity {
  /** In its pid namespace. */
  pid: number;
  /** See startTimeOf(). */
  startTime: string;
  /** Of the machine's boot: pids and start times begin again with each. */
  bootId: string;
  /** Such as `pid:[4026531836]`. All processes of a pid namespace end with it (pid_namespaces(7)). */
  pidNamespace: string;
}

/**
 * When a process started, in clock ticks since boot (proc(5), /proc/PID/stat, field 22); "" if there is none, or a zombie.
 */
export function startTimeOf(pid: number): string {
  let stat: string;
  try {
    stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  } catch {
    return '';
  }
  // The name is in parentheses and may itself contain spaces and parentheses.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return fields[0] === 'Z' || fields[0] === 'X' ? '' : (fields[19] ?? '');
}

let here: { bootId: string; pidNamespace: string } | undefined;

function environment(): { bootId: string; pidNamespace: string } {
  here ??= {
    bootId: readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim(),
    pidNamespace: readlinkSync('/proc/self/ns/pid'),
  };
  return here;
}

/** Identity of a process in our pid namespace. The start time is "" if it has ended. */
export function identityOf(pid: number): ProcessIdentity {
  return { pid, startTime: startTimeOf(pid), ...environment() };
}

/** Whether this process is running. False if it is in another pid namespace, where that is unknown. */
export function isAlive({ pid, startTime, bootId, pidNamespace }: ProcessIdentity): boolean {
  const own = environment();
  if (startTime === '' || bootId !== own.bootId || pidNamespace !== own.pidNamespace) return false;
  return startTimeOf(pid) === startTime;
}

/**
 * Whether this process is known to have ended. False if it is in another pid namespace of this boot, where that is unknown.
 */
export function hasEnded(process: ProcessIdentity): boolean {
  const own = environment();
  if (process.bootId === own.bootId && process.pidNamespace !== own.pidNamespace) return false;
  return !isAlive(process);
}
