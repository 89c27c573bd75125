import { access, constants } from 'node:fs/promises';
import { errorCode } from '../errors.js';

/** Why /dev/net/tun cannot be used, with the cure; undefined where it can. */
export async function tunProblem(): Promise<string | undefined> {
  try {
    await access('/dev/net/tun', constants.R_OK | constants.W_OK);
    return undefined;
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return '/dev/net/tun does not exist; to make it: sudo modprobe tun';
    return '/dev/net/tun may not be opened by this user; to allow it: sudo chmod 666 /dev/net/tun';
  }
}
