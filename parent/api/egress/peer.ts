/** Who is at the other end of a connection to the API. */
import { readlinkSync } from 'node:fs';
import type { Socket } from 'node:net';
import { native } from '../../../native/index.js';

const known = new WeakMap<Socket, boolean>();
/** User namespace of this process, which does not change it. */
let own: string | undefined;

/**
 * Whether the client is in another user namespace than this process, as the programs of the stack are; also where that
 * cannot be determined, such as of a process that has ended. Determined at the first call, which is to be made when the
 * client connects: later, another process may have its pid.
 */
export function isInside(socket: Socket): boolean {
  const before = known.get(socket);
  if (before !== undefined) return before;
  const inside = findInside(socket);
  known.set(socket, inside);
  return inside;
}

function findInside(socket: Socket): boolean {
  try {
    // Node has no other way to the descriptor of a connection.
    const { _handle: handle } = socket as Socket & { _handle?: { fd?: number } };
    const fd = handle?.fd ?? -1;
    const namespace = userNamespace(`${native().peerPid(fd)}`);
    own ??= userNamespace('self');
    // If it has ended, its pid may have been another process's by then: a program inside may have stopped this one meanwhile.
    return namespace !== own || native().peerHasEnded(fd);
  } catch {
    return true;
  }
}

function userNamespace(pid: string): string {
  return readlinkSync(`/proc/${pid}/ns/user`);
}
