/**
 * Processes of containers that an earlier stack has left, since it was killed together with the processes that would have
 * ended them. They live in a user namespace where the agent has no rights; this process has, since its user made it
 * (user_namespaces(7)).
 */
import { constants } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import { native } from '../../native/index.js';
import { startTimeOf } from '../../protocol/system/process-identity.js';
import { errnoName } from '../errors.js';
import { userNamespaceOf } from '../namespaces/orphans.js';

export interface Survivor {
  /** In this process's pid namespace. */
  pid: number;
  /** See startTimeOf(). */
  startTime: string;
}

/** How long they may take to end after SIGTERM, in ms … */
const TERM_TIMEOUT = 2_000;
/** … and after SIGKILL. */
const KILL_TIMEOUT = 10_000;

/**
 * Ends processes with SIGTERM, then SIGKILL. Resolves with the pids of those that still live: those that the kernel cannot
 * end yet, and those that cannot be a container's: in our own user namespace, or younger than this process.
 */
export async function endSurvivors(survivors: readonly Survivor[]): Promise<number[]> {
  let left = survivors.filter(lives);
  const ours = left.filter(isOfEarlierStack);
  const send = (signal: number) => {
    for (const { pid, startTime } of ours) {
      try {
        native().signalProcess(pid, startTime, signal);
      } catch (error) {
        // Such a process is reported as still alive.
        if (errnoName(error) !== 'ESRCH' && errnoName(error) !== 'EPERM') throw error;
      }
    }
  };
  for (const [signal, limit] of [
    [constants.signals.SIGTERM, TERM_TIMEOUT],
    [constants.signals.SIGKILL, KILL_TIMEOUT],
  ] as const) {
    if (!ours.some(lives)) break;
    send(signal);
    const deadline = performance.now() + limit;
    while (ours.some(lives) && performance.now() < deadline) await delay(10);
  }
  left = left.filter(lives);
  return left.map(({ pid }) => pid);
}

function lives({ pid, startTime }: Survivor): boolean {
  return startTimeOf(pid) === startTime;
}

function isOfEarlierStack({ pid, startTime }: Survivor): boolean {
  const namespace = userNamespaceOf(pid);
  if (namespace === '' || namespace === userNamespaceOf('self')) return false;
  return BigInt(startTime) <= BigInt(startTimeOf(process.pid));
}
