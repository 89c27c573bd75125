/** The running stack that rootless-net uses. */

import { existsSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { UserError } from '../../parent/errors.js';
import { selectStack, stackWithContainers } from '../../parent/stack-discovery/select.js';
import { defaultStateDir, defaultStateDirIfAny } from '../../parent/state/user-directories.js';
import type { StackRecord } from '../../protocol/state/stack-record.js';
import { statePath } from '../../protocol/state/state-layout.js';
import { withProgress } from './progress.js';
import { answers, notAnswering, startDefaultStack } from './start-stack.js';

/** Longest time in ms for a stack to create its sockets again. */
const RENEWAL_TIMEOUT = 10_000;

/** Which stack is selected; the default one without options. */
export interface WantedStack {
  stateDir?: string | undefined;
  /** Its name, process ID or state directory. */
  stack?: string | undefined;
  /** Whether a stack that has to be started keeps running without containers. */
  keep?: boolean | undefined;
}

/** Path of the api.sock of the stack, which is started if none is running. Throws UserError. */
export async function findOrStartStack(wanted: WantedStack): Promise<string> {
  return (
    (await findRunningStack(wanted)) ??
    withProgress('starting a stack', startDefaultStack(statePath(defaultStateDir(), 'apiSocket'), wanted.keep ?? false))
  );
}

/** Path of the api.sock of the stack; undefined if the default one is not running. Throws UserError. */
export async function findRunningStack({ stateDir, stack }: WantedStack): Promise<string | undefined> {
  if (stack !== undefined) return (await selectStack(stack))?.socket;
  const named = stateDir ?? (process.env.ROOTLESSKIT_STATE_DIR || undefined);
  const directory = named ?? defaultStateDirIfAny();
  const socket = directory === undefined ? undefined : statePath(directory, 'apiSocket');
  if (socket !== undefined && existsSync(socket) && (await answers(socket))) return socket;
  // It may belong to another user, or this command may run inside it: it cannot be started from here.
  if (named !== undefined) {
    throw new UserError(`no stack is running at ${named}`, { hint: `rootless-run serve --state-dir ${named}` });
  }
  // A stack that was started with other directories, or has lost its own.
  const owner = stackWithContainers();
  return owner && (await waitUntilAnswering(owner)) ? owner.socket : undefined;
}

/**
 * Makes a stack whose sockets are gone create them again, and waits for that; false if it ends instead. Throws UserError if
 * it does neither.
 */
async function waitUntilAnswering({ process: { pid }, socket, command }: StackRecord): Promise<boolean> {
  const deadline = performance.now() + RENEWAL_TIMEOUT;
  for (let signalled = false; !(await answers(socket)); await delay(20)) {
    // The stack checks its sockets periodically, and at once when it reloads its ports.
    if (!signalled && !existsSync(socket) && command === undefined) kill(pid, 'SIGHUP');
    signalled = true;
    if (performance.now() > deadline) throw notAnswering(pid, socket);
    if (stackWithContainers()?.process.pid !== pid) return false;
  }
  return true;
}

function kill(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // The process has just ended.
  }
}
