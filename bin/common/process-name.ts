import { writeFileSync } from 'node:fs';

/**
 * Sets the name that ps(1), ss(8) and pgrep(1) show of this process instead of node's (proc(5), /proc/PID/comm). Its arguments
 * do not change.
 */
export function setProcessName(name: string): void {
  try {
    writeFileSync('/proc/self/comm', name);
  } catch {
    // Without /proc, no process can read the name either.
  }
}
