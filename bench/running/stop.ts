// Ends candidates.
import { isAlive, type ProcessInfo, processInfo, processTree } from '../../test/support/process-info.js';
import type { Started } from '../../test/support/start.js';
import { waitFor } from '../../test/support/wait-for.js';

/**
 * Ends a candidate and all of its processes.
 *
 * @param known its processes at an earlier time: after a candidate has ended, its descendants have other parents
 */
export async function stop(started: Started, known: readonly ProcessInfo[] = []): Promise<void> {
  const tree = [...known, ...processTree(started.pid)];
  const stopping = started.stop().catch(() => {});
  await waitFor(() => !isAlive(started.pid), { timeout: 12_000, what: 'the end of a candidate' }).catch(() => {});
  for (const { pid, args } of tree) {
    // Unless the id now belongs to another process.
    if (processInfo(pid)?.args.join('\0') !== args.join('\0')) continue;
    try {
      process.kill(pid, 'SIGKILL');
    } catch {
      // It has ended meanwhile.
    }
  }
  // An unknown process may still hold them open.
  for (const stream of [started.child.stdout, started.child.stderr]) stream?.destroy();
  await stopping;
}
