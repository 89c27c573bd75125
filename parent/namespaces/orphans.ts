import { readlinkSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { native } from '../../native/index.js';

/** How long processes may take to end after SIGKILL, in ms. */
const KILL_TIMEOUT_MS = 1000;
/**
 * How many scans in a row must find nothing: where a child ends during one, the kernel's list may skip others (proc(5),
 * /proc/PID/task/TID/children).
 */
const EMPTY_SCANS = 5;

/**
 * Makes this process inherit orphans from below it (prctl(2), PR_SET_CHILD_SUBREAPER), so that it finds the processes
 * that a killed launcher leaves.
 */
export function inheritOrphans(): void {
  native().becomeSubreaper();
}

/** Identity of a process's user namespace, such as `user:[4026532208]`; "" if it cannot be read. */
export function userNamespaceOf(pid: number | string): string {
  try {
    return readlinkSync(`/proc/${pid}/ns/user`);
  } catch {
    return '';
  }
}

/**
 * Kills the children of this process that live in the user namespace, and the orphans that they leave in turn. Processes
 * below a living launcher are not children of this process, and are not touched.
 */
export async function killOrphans(userNamespace: string): Promise<void> {
  if (userNamespace === '') return;
  const deadline = performance.now() + KILL_TIMEOUT_MS;
  const seen = new Set<number>();
  let empty = 0;
  // The kernel ends later those that cannot end yet, such as one that waits for a disk.
  while (performance.now() < deadline) {
    let found = false;
    for (const pid of await children()) {
      // One that has just ended may have left its children to us after this scan.
      if (!seen.has(pid)) found = true;
      seen.add(pid);
      if (userNamespaceOf(pid) !== userNamespace || (await isZombie(pid))) continue;
      found = true;
      try {
        process.kill(pid, 'SIGKILL');
      } catch {
        // It has already ended.
      }
    }
    empty = found ? 0 : empty + 1;
    if (empty === EMPTY_SCANS) return;
    await delay(1);
  }
}

/** Dead and not waited for: Node does not wait for children that it did not start. They last as long as this process. */
async function isZombie(pid: number): Promise<boolean> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => ') Z');
  return stat.slice(stat.lastIndexOf(')') + 2).startsWith('Z');
}

/** Pids of the children of all threads of this process (proc(5)). */
async function children(): Promise<number[]> {
  const threads = await readdir('/proc/self/task');
  const lists = await Promise.all(
    threads.map((id) => readFile(`/proc/self/task/${id}/children`, 'utf8').catch(() => '')),
  );
  return lists.flatMap((list) =>
    list
      .split(' ')
      .filter((pid) => pid !== '')
      .map(Number),
  );
}
