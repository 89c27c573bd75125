/**
 * wireguard-go: WireGuard in a process, on a TUN device. The device exists for as long as the process runs, which ends with the
 * agent. It makes its socket below /var/run/wireguard, which is a file system of its own for it: the host's is not
 * writable, and no other program of the stack finds the socket. It is reached through /proc/PID/root.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect } from 'node:net';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { printable } from '../../protocol/text/printable-text.js';
import { WireGuardError } from '../../protocol/wireguard/errors.js';
import type { DeviceChange, Implementation, PeerReport } from './implementation.js';
import { exchange, peersIn, setRequest } from './uapi.js';

/** Not /var/run: as a link it would lead to this process's own. */
const DIRECTORY = '/run/wireguard';
const START_TIMEOUT_MS = 10_000;
const NOT_FOUND = 127;
/** The shell becomes wireguard-go, so it is the process that is killed. */
const SCRIPT = `mount -t tmpfs -o mode=755 tmpfs /run && { [ /var/run -ef /run ] || mount --bind /run /var/run; } &&
exec wireguard-go -f "$1"`;
/** With the directories of administrators' programs, which ordinary users' PATH lacks. */
const PATH = `${process.env.PATH ?? ''}:/usr/local/sbin:/usr/sbin:/sbin`;

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
    const isolated = ['unshare', '--mount', '--propagation', 'private', 'sh', '-c', SCRIPT, 'sh', name];
    const child = spawn('setpriv', ['--pdeathsig', 'KILL', ...isolated], {
      cwd: '/',
      // Otherwise it prints that the kernel's own would be better.
      env: { PATH, LOG_LEVEL: 'error', WG_PROCESS_FOREGROUND: '1' },
      stdio: ['ignore', 'pipe', 'pipe'],
      // Ctrl-C must not end it before the containers.
      detached: true,
    });
    let lastLine = '';
    for (const input of [child.stdout, child.stderr]) {
      createInterface({ input }).on('line', (line) => {
        if (line.trim() !== '') lastLine = printable(line);
      });
    }
    let failure: Error | undefined;
    child.once('error', (error) => {
      failure = error;
    });
    // By then its last output has been read.
    let ended: number | null | undefined;
    child.once('close', (code) => {
      ended = code;
    });
    const socket = `/proc/${child.pid}/root${DIRECTORY}/${name}.sock`;
    for (const deadline = performance.now() + START_TIMEOUT_MS; !(await accepts(socket)); await delay(5)) {
      if (failure === undefined && ended === undefined && performance.now() < deadline) continue;
      child.kill('SIGKILL');
      if (ended === NOT_FOUND) throw notInstalled();
      throw new WireGuardError(
        `cannot start wireguard-go: ${failure?.message ?? (lastLine || 'it does not accept connections')}`,
      );
    }
    return new WireGuardGo(child, socket);
  }

  async set(change: DeviceChange): Promise<void> {
    await exchange(this.socket, setRequest(change));
  }

  async peers(): Promise<PeerReport[]> {
    return peersIn(await exchange(this.socket, 'get=1\n'));
  }

  async close(): Promise<void> {
    this.#closing = true;
    const { child } = this;
    if (child.exitCode !== null || child.signalCode !== null) return;
    child.kill('SIGKILL');
    await once(child, 'exit');
  }
}

function notInstalled(): WireGuardError {
  return new WireGuardError('the kernel has no WireGuard, and wireguard-go is not installed', {
    hint: 'sudo apt-get install wireguard-go',
  });
}

function accepts(socketPath: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(socketPath);
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}
