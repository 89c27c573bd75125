/** What is in a state directory: which entries a stack makes, and which are another program's. */
import { join } from 'node:path';
import { errnoText } from '../../protocol/errors/errno-text.js';
import {
  DIRECTORIES_OF_CONTAINERS,
  NAMED_AFTER_CONTAINER,
  STATE_DIRECTORIES,
  STATE_FILES,
  stateEntryKind,
} from '../../protocol/state/state-layout.js';
import { errnoName, errorText, printable, StateDirError } from '../errors.js';
import type { PinnedDirectory } from './pinned-directory.js';

/** Throws StateDirError if there is an entry that no stack makes. */
export function checkEntries(directory: PinnedDirectory, dir: string): void {
  const foreign = directory.names().filter((name) => !isStateEntry(directory, name));
  for (const above of DIRECTORIES_OF_CONTAINERS) {
    const name = STATE_DIRECTORIES[above];
    for (const [below] of directory.entriesBelow(name)) {
      if (!NAMED_AFTER_CONTAINER.test(below)) foreign.push(join(name, below));
    }
  }
  // Empty files, on which network namespaces are mounted while the stack runs.
  for (const [below, entry] of directory.entriesBelow(STATE_DIRECTORIES.netnsPins)) {
    if (!entry.isFile() || entry.size > 0) foreign.push(join(STATE_DIRECTORIES.netnsPins, below));
  }
  if (foreign.length === 0) return;
  throw new StateDirError(
    `${dir} is not a state directory: no stack makes ${listNames(foreign)}; nothing in it was changed; choose a new or an empty one with --state-dir`,
  );
}

/** Removes what a stack makes, but not the lock; returns the names of the other entries. Throws StateDirError. */
export function removeEntries(directory: PinnedDirectory, dir: string): string[] {
  const foreign: string[] = [];
  for (const name of directory.names()) {
    if (!isStateEntry(directory, name)) {
      foreign.push(name);
      continue;
    }
    if (name === STATE_FILES.lock) continue;
    try {
      directory.remove(name);
    } catch (error) {
      throw new StateDirError(`cannot remove ${join(dir, name)}: ${errnoText(errnoName(error)) || errorText(error)}`);
    }
  }
  return foreign;
}

/** The first of them, made printable, since they may be any names. */
export function listNames(names: readonly string[]): string {
  const shown = names.slice(0, 3).map((name) => printable(name));
  return `${shown.join(', ')}${names.length > shown.length ? ` and ${names.length - shown.length} more` : ''}`;
}

function isStateEntry(directory: PinnedDirectory, name: string): boolean {
  const kind = stateEntryKind(name);
  if (kind === undefined) return false;
  const entry = directory.entry(name);
  // It has just been removed.
  if (!entry) return true;
  if (entry.isDirectory()) return kind === 'directory';
  return kind === 'file' && (entry.isFile() || entry.isSocket());
}
