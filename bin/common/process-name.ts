import { writeFileSync } from 'node:fs';

/**
 * The name that ps(1), ss(8) and pgrep(1) show of this process, instead of node's (proc(5), /proc/PID/comm); its arguments
 * stay as they are.
 */
export function setProcessName(name: string): void {
  try {
    writeFileSync('/proc/self/comm', name);
  } catch {
    // Without /proc nobody can see it, either.
  }
}
