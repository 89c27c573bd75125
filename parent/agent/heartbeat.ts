/**
 * Detects an agent that hangs: stopped (SIGSTOP), in an endless loop, or blocked in a call.
 *
 * Theory of operation. quiet --PERIOD_MS--> asked (a ping was sent), and back with its pong. While an answer is awaited,
 * each CHECK_MS that passes is counted; after so many the agent hangs. Ticks of our own timer are counted, not the time of
 * a clock: time in which this process was stopped as well (job control, a frozen cgroup, a suspended machine) counts once
 * at most, and the agent is not replaced for it.
 */
const PERIOD_MS = 2000;
const CHECK_MS = 1000;
/** Checks until a running agent counts as hung: it is replaced within 10 s of its last answer. */
const ANSWER_CHECKS = 5;

export class AgentHeartbeat {
  #timer: NodeJS.Timeout | undefined;

  constructor(
    private readonly ping: () => void,
    /** Called once, with a reason that has the time for which an answer was awaited. */
    private readonly onHung: (reason: string) => void,
  ) {}

  /** To be called when the agent was started; it has to answer within so many seconds. */
  started(seconds: number): void {
    this.#await(Math.ceil((seconds * 1000) / CHECK_MS), 'it did not start');
  }

  /** To be called for each answer of the agent. */
  alive(): void {
    this.stop();
    this.#after(PERIOD_MS, () => {
      this.ping();
      this.#await(ANSWER_CHECKS, 'it did not answer');
    });
  }

  stop(): void {
    clearTimeout(this.#timer);
  }

  #await(checks: number, what: string): void {
    this.stop();
    let seen = 0;
    const check = () => {
      if (++seen < checks) this.#after(CHECK_MS, check);
      else this.onHung(`${what} in ${(checks * CHECK_MS) / 1000} s`);
    };
    this.#after(CHECK_MS, check);
  }

  #after(ms: number, task: () => void): void {
    this.#timer = setTimeout(task, ms);
    this.#timer.unref();
  }
}
