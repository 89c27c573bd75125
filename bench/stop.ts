import { isAlive, processTree } from '../test/support/process-info.js';
import type { Started } from '../test/support/start.js';
import { waitFor } from '../test/support/wait-for.js';

/** Ends a candidate and whatever it leaves behind. */
export async function stop(started: Started): Promise<void> {
  const tree = processTree(started.pid);
  const stopping = started.stop().catch(() => {});
  await waitFor(() => !isAlive(started.pid), { timeout: 12_000, what: 'the end of a candidate' }).catch(() => {});
  for (const { pid } of tree) {
    if (!isAlive(pid)) continue;
    try {
      process.kill(pid, 'SIGKILL');
    } catch {
      // It has ended in between.
    }
  }
  await stopping;
}
