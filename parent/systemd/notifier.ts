/**
 * Notifies the service manager that started this process (sd_notify(3), systemd.service(5) Type=notify). Does nothing
 * without one.
 */
import { native } from '../../native/index.js';
import { errorText } from '../errors.js';

export class Notifier {
  #watchdog: NodeJS.Timeout | undefined;

  private constructor(
    private readonly socket: string | undefined,
    /** µs, 0 for none. */
    private readonly watchdogInterval: number,
    private readonly warn: (line: string) => void,
  ) {}

  /** Removes the variables from the environment: programs that are started must not have them. */
  static fromEnvironment(warn: (line: string) => void, env: NodeJS.ProcessEnv = process.env): Notifier {
    const { NOTIFY_SOCKET: socket, WATCHDOG_USEC: interval, WATCHDOG_PID: pid } = env;
    delete env.NOTIFY_SOCKET;
    delete env.WATCHDOG_USEC;
    delete env.WATCHDOG_PID;
    const ours = pid === undefined || pid === String(process.pid);
    return new Notifier(socket || undefined, ours && interval !== undefined ? Number(interval) : 0, warn);
  }

  /** Reports that the service works. */
  ready(status: string): void {
    this.#notify('READY=1', `STATUS=${status}`);
  }

  status(status: string): void {
    this.#notify(`STATUS=${status}`);
  }

  /** Reports that the configuration is read again; ready() has to follow. */
  reloading(): void {
    this.#notify('RELOADING=1', `MONOTONIC_USEC=${process.hrtime.bigint() / 1000n}`);
  }

  stopping(status: string): void {
    this.stopWatchdog();
    this.#notify('STOPPING=1', `STATUS=${status}`);
  }

  /** Sends the watchdog's keep-alives in time from now on, as long as `healthy` resolves with true. */
  startWatchdog(healthy: () => Promise<boolean>): void {
    if (!(this.watchdogInterval > 0)) return;
    this.#watchdog = setInterval(async () => {
      if (await healthy()) this.#notify('WATCHDOG=1');
    }, this.watchdogInterval / 2000);
  }

  stopWatchdog(): void {
    clearInterval(this.#watchdog);
  }

  #notify(...lines: string[]): void {
    if (this.socket === undefined) return;
    try {
      native().sendDatagram(this.socket, lines.join('\n'));
    } catch (error) {
      this.warn(`cannot notify the service manager (${this.socket}): ${errorText(error)}`);
    }
  }
}
