/**
 * What a service tells the service manager that started it (sd_notify(3), systemd.service(5) Type=notify). Without one,
 * nothing happens.
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

  /** Takes the variables out of the environment: they are not meant for what we start. */
  static fromEnvironment(warn: (line: string) => void, env: NodeJS.ProcessEnv = process.env): Notifier {
    const { NOTIFY_SOCKET: socket, WATCHDOG_USEC: interval, WATCHDOG_PID: pid } = env;
    delete env.NOTIFY_SOCKET;
    delete env.WATCHDOG_USEC;
    delete env.WATCHDOG_PID;
    const ours = pid === undefined || pid === String(process.pid);
    return new Notifier(socket, ours && interval !== undefined ? Number(interval) : 0, warn);
  }

  /** The service works. */
  ready(status: string): void {
    this.#say('READY=1', `STATUS=${status}`);
  }

  status(status: string): void {
    this.#say(`STATUS=${status}`);
  }

  /** The configuration is being read again; ready() says when that is done. */
  reloading(): void {
    this.#say('RELOADING=1', `MONOTONIC_USEC=${process.hrtime.bigint() / 1000n}`);
  }

  stopping(status: string): void {
    this.stopWatchdog();
    this.#say('STOPPING=1', `STATUS=${status}`);
  }

  /** From now on says in time that we live, as long as `healthy` resolves with true. */
  startWatchdog(healthy: () => Promise<boolean>): void {
    if (!(this.watchdogInterval > 0)) return;
    this.#watchdog = setInterval(async () => {
      if (await healthy()) this.#say('WATCHDOG=1');
    }, this.watchdogInterval / 2000);
  }

  stopWatchdog(): void {
    clearInterval(this.#watchdog);
  }

  #say(...lines: string[]): void {
    if (this.socket === undefined) return;
    try {
      native().sendDatagram(this.socket, lines.join('\n'));
    } catch (error) {
      this.warn(`cannot tell the service manager (${this.socket}): ${errorText(error)}`);
    }
  }
}
