import { native } from '../../native/index.js';
import { errorText } from '../errors.js';

/**
 * Drops, for good, the rights that this process does not need once a stack is set up (native/src/sandbox/confine.h). For
 * the package's own programs: a process that uses it as a library may need its rights.
 */
export function confineThisProcess(debug: (line: string) => void): void {
  try {
    native().confineProcess();
  } catch (error) {
    debug(`this process keeps its rights: ${errorText(error)}`);
  }
}
