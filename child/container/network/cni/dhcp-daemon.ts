/**
 * The daemon of the CNI plugin dhcp, which obtains leases for containers and renews them. There is one for all containers,
 * started when a plugin first needs it.
 *
 * Theory of operation. none → starting → ready (it accepts connections) → none when it has exited for any reason; it is
 * started again when it is next needed. It ends with the agent. Leases are in its memory only, so `onLost` is called when
 * it was lost, for a new daemon to adopt the leases.
 */
import type { ChildProcess } from 'node:child_process';
import { rm } from 'node:fs/promises';
import { DaemonError, endDaemon, startDaemon } from '../../../daemon.js';
import { PROGRAM_PATH } from '../../run-program.js';
import { CNIError, ERROR_CODES } from './executor/errors.js';
import { findPlugin } from './executor/invoke.js';

const PLUGIN = 'dhcp';
/**
 * The daemon gives up on a network without a server after half a minute, which is before the waiting plugin is killed: a
 * later lease would not belong to any container.
 */
const TIMEOUT_OPTIONS = ['-timeout', '5s', '-resendmax', '4s'];
/** Log lines of every lease; the plugin bridge makes it begin before the interface is up. */
const ROUTINE =
  /: (acquiring|releasing|renewing|checking) lease|: lease (acquired|renewed|rebound)|^Link ".*" down\. |^network is down$|^retrying in /i;

export class DHCPDaemon {
  /** Set while it runs or is being started. */
  #daemon: Promise<ChildProcess> | undefined;
  #closing = false;
  onLost: () => void = () => {};

  constructor(
    private readonly socketPath: string,
    private readonly pluginDirs: readonly string[],
    private readonly log: (level: 'warn' | 'debug', line: string) => void,
  ) {}

  /** Path of its socket; starts it unless it runs. Throws CNIError. */
  async socket(): Promise<string> {
    this.#daemon ??= this.#start().catch((error: unknown) => {
      this.#daemon = undefined;
      throw error;
    });
    await this.#daemon;
    return this.socketPath;
  }

  /** Kills it, and waits until it has exited. */
  async close(): Promise<void> {
    this.#closing = true;
    const child = await this.#daemon?.catch(() => undefined);
    if (child) await endDaemon(child);
  }

  async #start(): Promise<ChildProcess> {
    const path = await findPlugin(PLUGIN, this.pluginDirs);
    await rm(this.socketPath, { force: true });
    const { child } = await startDaemon({
      command: [path, 'daemon', '-socketpath', this.socketPath, ...TIMEOUT_OPTIONS],
      env: { PATH: PROGRAM_PATH },
      socketOf: () => this.socketPath,
      output: ['stderr'],
      onLine: (line) => this.#onLine(line),
    }).catch((error: unknown) => {
      if (!(error instanceof DaemonError)) throw error;
      throw new CNIError(ERROR_CODES.internal, `cannot start its daemon: ${error.message}`, { plugin: PLUGIN });
    });
    child.once('exit', (code, signal) => this.#onExit(signal ?? `exit code ${code}`));
    return child;
  }

  #onLine(text: string): string {
    // Our log has a timestamp of its own.
    const line = text.replace(/^\d{4}\/\d\d\/\d\d \d\d:\d\d:\d\d /, '');
    this.log(ROUTINE.test(line) ? 'debug' : 'warn', `DHCP: ${line}`);
    return line;
  }

  #onExit(how: string): void {
    this.#daemon = undefined;
    if (this.#closing) return;
    this.log('warn', `the DHCP daemon has exited unexpectedly (${how})`);
    this.onLost();
  }
}
