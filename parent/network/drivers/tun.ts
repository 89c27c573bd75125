import { accessSync, constants } from 'node:fs';
import { errnoName, type Problem } from '../../errors.js';

/** Why /dev/net/tun cannot be used; undefined if it can. Synchronous as findProgram() is. */
export function tunProblem(): Problem | undefined {
  try {
    accessSync('/dev/net/tun', constants.R_OK | constants.W_OK);
    return undefined;
  } catch (error) {
    if (errnoName(error) === 'ENOENT') return { what: '/dev/net/tun does not exist', fix: 'sudo modprobe tun' };
    return { what: '/dev/net/tun may not be opened by this user', fix: 'sudo chmod 666 /dev/net/tun' };
  }
}
