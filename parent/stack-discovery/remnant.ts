/** Ends the remnant of a killed stack that blocks the next one. */
import { setTimeout as delay } from 'node:timers/promises';
import { isOver } from '../../protocol/state/stack-record.js';
import { readStackRecord } from '../../protocol/state/stack-record-file.js';
import { startTimeOf } from '../../protocol/system/process-identity.js';
import { lockHolder } from '../state/lock-holder.js';
import { SETTLED } from './running.js';
import { endRemnant } from './stop.js';

/**
 * Ends the process that holds the lock of a data directory for a stack whose main process has ended: such as an agent that
 * was stopped (SIGSTOP) and has not seen that end. Throws UserError.
 */
export async function endRemnantOf(lock: string, warn: (line: string) => void): Promise<void> {
  const record = readStackRecord(lock);
  if (!record || !isOver(record)) return;
  const pid = await lockHolder(lock);
  if (pid === undefined) return;
  // Another stack may just have got the lock.
  await delay(SETTLED);
  const now = readStackRecord(lock);
  if (!now || !isOver(now) || (await lockHolder(lock)) !== pid) return;
  warn(`ending the process ${pid}, which is left over from a killed stack (pid ${now.process.pid})`);
  await endRemnant({ record: now, pid, startTime: startTimeOf(pid) });
}
