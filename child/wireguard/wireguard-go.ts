/**
 * wireguard-go: WireGuard in a process, on a TUN device. The device exists for as long as the process runs, which ends with the
 * agent. It makes its socket below /var/run/wireguard, which is a file system of its own for it: the host's is not
 * writable, and no other program of the stack finds the socket. It is reached through /proc/PID/root.
 */
import type { ChildProcess } from 'node:child_process';
import { printable } from '../../protocol/text/printable-text.js';
import { WireGuardError } from '../../protocol/wireguard/errors.js';
import { PROGRAM_PATH } from '../container/run-program.js';
import { DaemonError, endDaemon, startDaemon } from '../daemon.js';
import type { DeviceChange, Implementation, PeerReport } from './implementation.js';
import { exchange, peersIn, setRequest } from './uapi.js';

/** Not /var/run: as a link it would lead to this process's own. */
const DIRECTORY = '/run/wireguard';
const NOT_FOUND = 127;
/** The shell becomes wireguard-go, so it is the process that is killed. */
const SCRIPT = `mount -t tmpfs -o mode=755 tmpfs /run && { [ /var/run -ef /run ] || mount --bind /run /var/run; } &&
exec wireguard-go -f "$1"`;

export class WireGuardGo implements Implementation {
  readonly kind = 'wireguard-go';
  onLost: (reason: string) => void = () => {};
  #closing = false;

  private constructor(
    private readonly child: ChildProcess,
    private readonly socket: string,
  ) {
    child.once('exit', (code, signal) => {
      if (!this.#closing) this.onLost(signal ?? `exit code ${code}`);
    });
  }

  /** Starts it; resolves when the device of that name exists. Throws WireGuardError. */
  static async start(name: string): Promise<WireGuardGo> {
    try {
      const { child, socket } = await startDaemon({
        command: ['unshare', '--mount', '--propagation', 'private', 'sh', '-c', SCRIPT, 'sh', name],
        // Otherwise it prints that the kernel's own would be better.
        env: { PATH: PROGRAM_PATH, LOG_LEVEL: 'error', WG_PROCESS_FOREGROUND: '1' },
        socketOf: (pid) => `/proc/${pid}/root${DIRECTORY}/${name}.sock`,
        output: ['stdout', 'stderr'],
        onLine: (line) => printable(line.trim()),
      });
      return new WireGuardGo(child, socket);
    } catch (error) {
      if (!(error instanceof DaemonError)) throw error;
      if (error.exitCode === NOT_FOUND) throw notInstalled();
      throw new WireGuardError(`cannot start wireguard-go: ${error.message}`);
    }
  }

  async set(change: DeviceChange): Promise<void> {
    await exchange(this.socket, setRequest(change));
  }

  async peers(): Promise<PeerReport[]> {
    return peersIn(await exchange(this.socket, 'get=1\n'));
  }

  async close(): Promise<void> {
    this.#closing = true;
    await endDaemon(this.child);
  }
}

function notInstalled(): WireGuardError {
  return new WireGuardError('the kernel has no WireGuard, and wireguard-go is not installed', {
    hint: 'sudo apt-get install wireguard-go',
  });
}
