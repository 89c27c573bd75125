import { readlinkSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { native } from '../../native/index.js';

/**
 * Makes this process the one that inherits orphans from below (prctl(2), PR_SET_CHILD_SUBREAPER), so that it finds what
 * a launcher that was killed leaves behind.
 */
export function inheritOrphans(): void {
  native().becomeSubreaper();
}

/** Identity of a process's user namespace, such as `user:[4026532208]`; "" where it cannot be seen (any more). */
export function userNamespaceOf(pid: number | string): string {
  try {
    return readlinkSync(`/proc/${pid}/ns/user`);
  } catch {
    return '';
  }
}

/**
 * Kills the children of this process that live in the user namespace, and what they leave in turn. Those that are below
 * a living launcher are not children of ours, and are not touched.
 */
export async function killOrphans(userNamespace: string): Promise<void> {
  if (userNamespace === '') return;
  for (;;) {
    let found = false;
    for (const pid of await children()) {
      if (userNamespaceOf(pid) !== userNamespace || (await isZombie(pid))) continue;
      found = true;
      try {
        process.kill(pid, 'SIGKILL');
      } catch {
        // It has ended by itself.
      }
    }
    if (!found) return;
    await delay(1);
  }
}

/** Dead and not waited for: Node does not wait for children that it did not start. They go when this process does. */
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
