import { describeProcess, isAlive, listProcesses, type ProcessInfo } from '../../support/process-info.js';
import { waitFor } from '../../support/wait-for.js';

/**
 * Waits a little until no process for which `belongs` holds is alive; kills those that remain, by id, and
 * resolves to a line about each.
 */
export async function endLeftovers(belongs: (info: ProcessInfo) => boolean): Promise<string[]> {
  const alive = () => listProcesses().filter((info) => isAlive(info.pid) && belongs(info));
  try {
    await waitFor(() => alive().length === 0, { timeout: 3_000 });
    return [];
  } catch {
    const left = alive();
    for (const { pid } of left) {
      try {
        process.kill(pid, 'SIGKILL');
      } catch {
        // It has ended in between.
      }
    }
    return left.map(describeProcess);
  }
}
