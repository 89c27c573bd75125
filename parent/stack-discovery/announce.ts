/** Writes the record of a starting stack into the lock of its state directory, where running.ts finds it. */
import { closeSync, mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { native } from '../../native/index.js';
import { onFile } from '../../protocol/errors/file-error.js';
import { encodeStackRecord, type StackRecord } from '../../protocol/state/stack-record.js';
import { openOwnFile } from '../../protocol/system/own-file.js';
import { identityOf } from '../../protocol/system/process-identity.js';
import { UserError } from '../errors.js';
import type { StateDir } from '../state/state-dir.js';
import { findStacks } from './running.js';

/** How long other processes may hold the lock of names, in ms: each reads all locks once. */
const NAMING_TIMEOUT = 10_000;

/** What other programs may know of a starting stack. */
export interface Announcement extends Pick<StackRecord, 'net' | 'program'> {
  /** The stack's name, and the file that is locked while names are given; absent for a stack without a name. */
  name?: { text: string; lock: string } | undefined;
  /** Absent for a stack without a command. */
  command?: readonly string[] | undefined;
}

/** Throws UserError if another stack already has the name. */
export async function announceStack(stateDir: StateDir, announcement: Announcement): Promise<StackRecord> {
  const { name, command, net, program } = announcement;
  const record: StackRecord = {
    process: identityOf(process.pid),
    ...(name && { name: name.text }),
    stateDir: stateDir.path,
    socket: stateDir.socket,
    started: new Date().toISOString(),
    program,
    ...(command && { command: [...command] }),
    net,
  };
  if (!name) {
    stateDir.record(encodeStackRecord(record));
    return record;
  }
  const lock = await lockNames(name.lock);
  try {
    const other = (await findStacks()).running.find(
      (stack) => stack.name === name.text && stack.stateDir !== record.stateDir,
    );
    if (other) {
      throw new UserError(
        `the name ${name.text} belongs to the stack of pid ${other.process.pid} (${other.stateDir})`,
        { hint: `rootless-run stop ${name.text}, or choose another --name` },
      );
    }
    stateDir.record(encodeStackRecord(record));
    return record;
  } finally {
    closeSync(lock);
  }
}

/** Takes the lock that keeps two starting stacks from getting one name. Throws UserError, or FileError. */
async function lockNames(path: string): Promise<number> {
  onFile(dirname(path), () => mkdirSync(dirname(path), { recursive: true, mode: 0o700 }));
  const lock = onFile(path, () => openOwnFile(path));
  const deadline = performance.now() + NAMING_TIMEOUT;
  while (!native().flock(lock, true)) {
    if (performance.now() > deadline) {
      closeSync(lock);
      throw new UserError(`cannot take the lock of names, ${path}: another process holds it`, {
        hint: 'end that process',
      });
    }
    await delay(10);
  }
  return lock;
}
