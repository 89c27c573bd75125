/**
 * Log lines that an untrusted process can cause: a burst, then so many a second. Further lines are counted, and the count
 * is logged when lines pass again.
 */

/** Lines that may be logged at once: as many as a hundred containers that start together have to report. */
const BURST = 100;
/** … and then one in this many milliseconds. */
const INTERVAL_MS = 200;

export class RateLimitedLog {
  #allowed = BURST;
  #since: number;
  #suppressed = 0;
  #timer: NodeJS.Timeout | undefined;

  /**
   * @param whose names the source in the line that reports suppressed ones
   * @param now milliseconds, monotonic
   */
  constructor(
    private readonly write: (line: string) => void,
    private readonly whose: string,
    private readonly now: () => number = () => performance.now(),
  ) {
    this.#since = now();
  }

  /** Logs the line, or counts it. */
  log(line: string): void {
    this.#refill();
    if (this.#allowed < 1) {
      this.#suppressed++;
      // Logs the count also where no further line follows. It keeps no process alive.
      this.#timer ??= setTimeout(() => this.#report(), BURST * INTERVAL_MS).unref();
      return;
    }
    if (this.#suppressed > 0) this.#report();
    this.#allowed--;
    this.write(line);
  }

  /** Logs how many lines were suppressed since the last one that passed. */
  #report(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#suppressed > 0) this.write(`${this.#suppressed} more lines of ${this.whose} were suppressed`);
    this.#suppressed = 0;
  }

  #refill(): void {
    const now = this.now();
    this.#allowed = Math.min(BURST, this.#allowed + (now - this.#since) / INTERVAL_MS);
    this.#since = now;
  }
}
