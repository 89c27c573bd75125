/**
 * Stops stacks, gracefully where they end in time.
 *
 * SIGTERM first: a stack without a command ends its containers and itself, one with a command passes the signal on. After
 * its timeout the launcher is killed, and with it all processes in the namespaces; the stack then cleans up, and reports how
 * it ended. A stack that is stopped (SIGSTOP) or hangs is killed itself, its launcher ends with it, and the files that it
 * leaves are removed here.
 */

import { readFileSync } from 'node:fs';
import { constants } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import { native } from '../../native/index.js';
import { handleOf, isRunning, type StackRecord } from '../../protocol/state/stack-record.js';
import { readStackRecord } from '../../protocol/state/stack-record-file.js';
import { statePath } from '../../protocol/state/state-layout.js';
import { type ProcessIdentity, startTimeOf } from '../../protocol/system/process-identity.js';
import { errnoName, StateDirError, StateDirLockedError, UserError } from '../errors.js';
import { userNamespaceOf } from '../namespaces/orphans.js';
import { StateDir } from '../state/state-dir.js';
import type { Remnant } from './running.js';

const { SIGCONT, SIGKILL, SIGTERM } = constants.signals;

/** How long a stack may take to end after SIGTERM, in ms, unless the caller gives another time. */
export const STOP_TIMEOUT = 10_000;
/** How long it may take to clean up when all processes in its namespaces were killed, in ms. */
const CLEANUP_TIMEOUT = 5_000;
/** … and to end after SIGKILL. */
const KILL_TIMEOUT = 10_000;
/** A process counts as ended when its first thread has ended; its locks are released with the last one, in ms at most. */
const UNLOCK_TIMEOUT = 2_000;
/** How many generations child_pid is below the main process at most. */
const MAX_DEPTH = 4;

/**
 * Resolves when the stack has ended. Throws UserError if it does not end, or is another user's.
 * @param timeout ms until it is killed
 */
export async function stopStack(record: StackRecord, timeout = STOP_TIMEOUT): Promise<void> {
  const { process } = record;
  if (timeout > 0) {
    send(process, SIGTERM);
    // A stopped process would not get it.
    send(process, SIGCONT);
    if (await ends(record, timeout)) return;
  }
  const launcher = launcherOf(record);
  if (launcher) {
    send(launcher, SIGKILL);
    if (await ends(record, CLEANUP_TIMEOUT)) return;
  }
  send(process, SIGKILL);
  if (!(await ends(record, KILL_TIMEOUT))) {
    throw new UserError(`the stack ${handleOf(record)} (process ${process.pid}) does not end, not even by SIGKILL`);
  }
  await clear(record.stateDir);
}

/**
 * Ends the process that holds the lock of a killed stack, and what else is left in its namespaces. Throws UserError.
 */
export async function endRemnant({ record, pid, startTime }: Remnant): Promise<void> {
  const process = { ...record.process, pid, startTime };
  const launcher = launcherAbove(process);
  send(process, SIGKILL);
  if (!(await ends({ process }, KILL_TIMEOUT))) {
    throw new UserError(`the process ${pid}, which is left over from a killed stack, does not end`);
  }
  if (!launcher) return;
  // Where it was stopped, too, it now sees that its stack has ended, and ends all processes below it.
  send(launcher, SIGCONT);
  if (!(await ends({ process: launcher }, CLEANUP_TIMEOUT))) send(launcher, SIGKILL);
}

/** Whether the process has ended within so many ms. */
async function ends(record: Pick<StackRecord, 'process'>, limit: number): Promise<boolean> {
  const deadline = performance.now() + limit;
  for (let pause = 5; startTimeOf(record.process.pid) === record.process.startTime; pause = Math.min(pause * 2, 50)) {
    if (performance.now() > deadline) return false;
    await delay(pause);
  }
  return true;
}

/** Sends the signal to that very process; to none if it has ended. Throws UserError. */
function send({ pid, startTime }: ProcessIdentity, signal: number): void {
  try {
    native().signalProcess(pid, startTime, signal);
  } catch (error) {
    if (errnoName(error) === 'ESRCH') return;
    throw new UserError(`cannot end the process ${pid}: ${errnoName(error)}`, {
      hint: 'run this as the user who started it',
    });
  }
}

/** The process of child_pid, if it is below the stack's main process. */
function launcherOf({ process, stateDir }: StackRecord): ProcessIdentity | undefined {
  try {
    const pid = Number(readFileSync(statePath(stateDir, 'childPid'), 'utf8'));
    const startTime = startTimeOf(pid);
    let above = pid;
    for (let depth = 0; depth < MAX_DEPTH && above !== process.pid; depth++) above = parentOf(above);
    return above === process.pid && startTime !== '' ? { ...process, pid, startTime } : undefined;
  } catch {
    return undefined;
  }
}

/** The parent of a process, where both are in the same user namespace, which is not ours. */
function launcherAbove(process: ProcessIdentity): ProcessIdentity | undefined {
  const namespace = userNamespaceOf(process.pid);
  if (namespace === '' || namespace === userNamespaceOf('self')) return undefined;
  try {
    const pid = parentOf(process.pid);
    const startTime = startTimeOf(pid);
    return userNamespaceOf(pid) === namespace && startTime !== '' ? { ...process, pid, startTime } : undefined;
  } catch {
    return undefined;
  }
}

/** From /proc/PID/status (proc(5)). */
function parentOf(pid: number): number {
  return Number(/^PPid:\s*(\d+)$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0);
}

/** Removes a state directory that was left; entries that no stack makes stay. */
async function clear(stateDir: string): Promise<void> {
  const deadline = performance.now() + UNLOCK_TIMEOUT;
  for (;;) {
    try {
      return StateDir.open(StateDir.choose(stateDir)).remove();
    } catch (error) {
      if (!(error instanceof StateDirError)) throw error;
      const owner = readStackRecord(statePath(stateDir, 'lock'));
      const isInUse = !(error instanceof StateDirLockedError) || (owner !== undefined && isRunning(owner));
      // Another stack has it by now, or it has other entries.
      if (isInUse || performance.now() > deadline) return;
      await delay(5);
    }
  }
}
