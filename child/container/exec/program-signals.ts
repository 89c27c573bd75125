import { native } from '../../../native/index.js';
import { errnoName } from '../../../protocol/errors/error-text.js';
import { startTimeOf } from '../../../protocol/system/process-identity.js';

/**
 * What signals the program that has this pid now, and no other one. Not by way of the OCI runtime that has started it: SIGKILL
 * would end that alone.
 */
export function signalsTo(pid: number): (signal: number) => void {
  const startTime = startTimeOf(pid);
  return (signal) => {
    if (startTime === '') return;
    try {
      native().signalProcess(pid, startTime, signal);
    } catch (error) {
      if (errnoName(error) !== 'ESRCH') throw error;
    }
  };
}
