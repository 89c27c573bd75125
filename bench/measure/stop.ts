import { isAlive, type ProcessInfo, processInfo, processTree } from '../test/support/process-info.js';
import type { Started } from '../test/support/start.js';
import { waitFor } from '../test/support/wait-for.js';

/**
 * Ends a candidate and whatever it leaves behind.
 *
 * @param known its processes as they once were: those of a candidate that has ended itself are nobody's children
 */
export async function stop(started: Started, known: readonly ProcessInfo[] = []): Promise<void> {
  const tree = [...known, ...processTree(started.pid)];
  const stopping = started.stop().catch(() => {});
  await waitFor(() => !isAlive(started.pid), { timeout: 12_000, what: 'the end of a candidate' }).catch(() => {});
  for (const { pid, args } of tree) {
    // Unless the id is another one's by now.
    if (processInfo(pid)?.args.join('\0') !== args.join('\0')) continue;
    try {
      process.kill(pid, 'SIGKILL');
    } catch {
      // It has ended in between.
    }
  }
  // Something that is not known may hold them open.
  for (const stream of [started.child.stdout, started.child.stderr]) stream?.destroy();
  await stopping;
}
