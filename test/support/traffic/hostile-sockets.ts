import { type ChildProcess, spawn } from 'node:child_process';
import { native } from '../../../native/index.js';
import { pythonProgram } from '../paths.js';
import { waitFor } from '../wait-for.js';

/** Sockets of a process that keeps using them; the process is killed at the end of the block. */
export interface HostileSockets extends Disposable {
  /** Descriptors of them here, for the new owner. */
  fds: number[];
}

const SCRIPT = pythonProgram('processes/hostile-sockets');

/**
 * Starts a Python program that makes `sockets` and sends them here with `send(s)`, see SCRIPT for what else it has. Resolves
 * with `count` of them; the program runs until it ends, or is killed.
 */
export async function hostileSockets(count: number, script: string): Promise<HostileSockets> {
  const [ours, theirs] = native().socketpair();
  const fds: number[] = [];
  let closed = '';
  const engine = new (native().Engine)('', (events) => {
    for (const event of events) {
      if (event.type === 'message') fds.push(...event.fds);
      else if (event.type === 'channel-closed') closed = event.reason;
    }
  });
  engine.openChannel(1, ours);
  const program: ChildProcess = spawn('python3', ['-c', SCRIPT + script], {
    stdio: ['ignore', 'inherit', 'inherit', theirs],
  });
  native().closeFd(theirs);
  const end = () => {
    program.kill('SIGKILL');
    engine.close();
  };
  try {
    await waitFor(() => fds.length === count || closed !== '', { what: `${count} sockets` });
    if (fds.length < count) throw new Error(`only ${fds.length} sockets came (${closed})`);
  } catch (error) {
    end();
    throw error;
  }
  return { fds, [Symbol.dispose]: end };
}
