import { socketTable } from './processes.js';
import { isWildcard, portOfKey, socketRows } from './socket-table.js';

/** Whether a program in the network namespace of a process waits for clients on that port, at whichever address. */
export function isBound(pid: number, transport: 'tcp' | 'udp', port: number): boolean {
  const wanted = port.toString(16);
  return ([transport, `${transport}6`] as const).some((name) => {
    for (const { local, remote, listening } of socketRows(socketTable(pid, name))) {
      if (portOfKey(local) === wanted && (transport === 'tcp' ? listening : isWildcard(remote))) return true;
    }
    return false;
  });
}
