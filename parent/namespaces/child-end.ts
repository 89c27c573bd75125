import { native } from '../../native/index.js';
import { signalName } from '../../protocol/system/signals.js';
import { errnoName } from '../errors.js';
import type { ProgramEnd } from '../programs/run-programs.js';

/** A timer that never fires, but keeps Node from ending. */
const NEVER = 2 ** 31 - 1;

/** Resolves with how a child of this process ended that Node has not started; without its output. */
export function endOfChild(pid: number): Promise<ProgramEnd> {
  return new Promise((resolve) => {
    const keepAlive = setInterval(() => {}, NEVER);
    const check = () => {
      const end = reap(pid);
      if (!end) return;
      clearInterval(keepAlive);
      process.off('SIGCHLD', check);
      resolve(end);
    };
    process.on('SIGCHLD', check);
    // It may have ended before.
    check();
  });
}

function reap(pid: number): ProgramEnd | undefined {
  const none = { exitCode: undefined, signal: undefined, stdout: '', output: '' };
  try {
    const status = native().reapChild(pid);
    if (status === undefined) return undefined;
    const number = status & 0x7f;
    if (number === 0) return { ...none, exitCode: status >> 8, problem: `exit code ${status >> 8}` };
    const name = signalName(number);
    return { ...none, signal: name, problem: name };
  } catch (error) {
    return { ...none, problem: errnoName(error) ?? 'unknown' };
  }
}
