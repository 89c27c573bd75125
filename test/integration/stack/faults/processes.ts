import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { isAlive, type ProcessInfo, processInfo, type RunningStack, waitFor } from '../../../support/index.js';

// Processes of a stack, for tests that stop or kill them.
export const ECHO = 7002;

/** The one process below rootless-run with that in its command line. */
export function only(stack: RunningStack, text: string): ProcessInfo {
  const [found, ...more] = stack.below(text);
  assert.ok(found && more.length === 0, `${text}: ${more.length + (found ? 1 : 0)} processes`);
  return found;
}

export const agentOf = (stack: RunningStack) => only(stack, 'child/agent.js').pid;

/** Waits until none of the processes is there any more. */
export async function gone(processes: readonly ProcessInfo[]): Promise<void> {
  const left = () => processes.filter(({ pid, comm }) => isAlive(pid) && processInfo(pid)?.comm === comm);
  await waitFor(() => left().length === 0, { what: 'everything to be gone' }).catch((error) => {
    throw new Error(`left: ${left().map(({ pid, args }) => `${pid} ${args.join(' ')}`)}`, { cause: error });
  });
}

/** Stops a process so that it answers nothing any more. */
export async function freeze(pid: number): Promise<void> {
  process.kill(pid, 'SIGSTOP');
  await waitFor(() => processInfo(pid)?.state === 'T', { what: 'the process to be stopped' });
}

/** Descriptors that a process has open. */
export const descriptorsOf = (pid: number) => readdirSync(`/proc/${pid}/fd`).length;
