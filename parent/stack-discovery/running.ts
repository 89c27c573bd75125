/**
 * The running stacks of this user. Each holds locks (flock(2)) on files that have its record
 * (protocol/state/stack-record.ts): its state directory's, wherever that is, and the data directory's. The holder of such a
 * lock is a stack, or a remnant of one; there is no list that could become stale.
 */

import { stat } from 'node:fs/promises';
import { basename } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import { isOver, isRunning, type StackRecord } from '../../protocol/state/stack-record.js';
import { readStackRecord } from '../../protocol/state/stack-record-file.js';
import { STATE_FILES, statePath } from '../../protocol/state/state-layout.js';
import { identityOf, startTimeOf } from '../../protocol/system/process-identity.js';
import { lockHolder, lockHolders, openFiles } from '../state/lock-holder.js';

/** A process of a stack whose main process was killed, which still holds the lock of the data directory. */
export interface Remnant {
  record: StackRecord;
  /** The process that holds the lock. */
  pid: number;
  /** See startTimeOf(). */
  startTime: string;
}

/** Longer than it takes from getting a lock to writing the record into it, in ms. */
export const SETTLED = 50;

export interface Stacks {
  /** In the order of their starts. */
  running: StackRecord[];
  remnants: Remnant[];
}

/** All stacks that can be found. `locks` are files that are also read where their holder is unknown, such as on NFS. */
export async function findStacks(locks: readonly string[] = []): Promise<Stacks> {
  /** By state directory: a process that uses the library may have several. */
  const running = new Map<string, StackRecord>();
  const remnants = new Map<number, Remnant & { lock: string }>();
  const add = (record: StackRecord, pid: number | undefined, lock: string) => {
    if (isRunning(record)) {
      // The newest record is in the lock that the stack itself holds.
      if (pid === undefined || !running.has(record.stateDir)) running.set(record.stateDir, record);
    } else if (pid !== undefined && isOver(record)) {
      remnants.set(pid, { record, pid, startTime: startTimeOf(pid), lock });
    }
  };
  for (const pid of await lockHolders()) {
    if (!(await isOurs(pid))) continue;
    for (const { link, path } of (await openFiles(pid)) ?? []) {
      if (basename(path.replace(/ \(deleted\)$/, '')) !== STATE_FILES.lock) continue;
      const record = readStackRecord(link);
      if (record) add(record, record.process.pid === pid ? undefined : pid, link);
    }
  }
  for (const path of locks) {
    const record = readStackRecord(path);
    if (record && !running.has(record.stateDir)) add(record, await lockHolder(path), path);
  }
  if (remnants.size > 0) await delay(SETTLED);
  return {
    running: [...running.values()].sort((a, b) => (a.started < b.started ? -1 : 1)),
    remnants: [...remnants.values()].filter(isSettled).map(({ lock: _, ...remnant }) => remnant),
  };
}

/** Whether it still is one a moment later: a starting stack may just have got the lock of a killed one. */
function isSettled({ record, pid, startTime, lock }: Remnant & { lock: string }): boolean {
  const now = readStackRecord(lock);
  return now !== undefined && isDeepStrictEqual(now, record) && startTimeOf(pid) === startTime;
}

/**
 * The stack that holds the lock of a state directory, also one of an earlier version, which writes no record into it.
 */
export async function stackAt(stateDir: string): Promise<StackRecord | undefined> {
  const lock = statePath(stateDir, 'lock');
  const record = readStackRecord(lock);
  if (record && isRunning(record)) return record;
  const pid = await lockHolder(lock);
  if (pid === undefined) return undefined;
  const program = 'rootless-run';
  return {
    process: identityOf(pid),
    stateDir,
    socket: statePath(stateDir, 'apiSocket'),
    started: '',
    program,
    net: '',
  };
}

async function isOurs(pid: number): Promise<boolean> {
  const process_ = await stat(`/proc/${pid}`).catch(() => undefined);
  return process_?.uid === process.geteuid?.();
}
