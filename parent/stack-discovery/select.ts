/** Selects the stack for a client command without --socket and --state-dir. */

import { isRunning, type StackRecord } from '../../protocol/state/stack-record.js';
import { readStackRecord } from '../../protocol/state/stack-record-file.js';
import { dataDirectory, defaultStateDirIfAny, knownLocks } from '../state/user-directories.js';
import { chooseStack, onlyStack } from './choose.js';
import { findStacks, stackAt } from './running.js';

/**
 * The stack with that name, process ID or state directory; without a name the default one, which rootless-run serve and
 * rootless-net start; otherwise the only one; undefined if none is running. Throws UserError if there are several, or none
 * of that name.
 */
export async function selectStack(name: string | undefined): Promise<StackRecord | undefined> {
  if (name !== undefined) return chooseStack((await findStacks(knownLocks())).running, name);
  const directory = defaultStateDirIfAny();
  const byDefault = directory === undefined ? undefined : await stackAt(directory);
  return byDefault ?? onlyStack((await findStacks(knownLocks())).running, 'select one with --stack NAME or DIRECTORY');
}

/** The running stack that has this user's containers; undefined if there is none. */
export function stackWithContainers(): StackRecord | undefined {
  const record = readStackRecord(`${dataDirectory()}/lock`);
  return record && isRunning(record) ? record : undefined;
}
