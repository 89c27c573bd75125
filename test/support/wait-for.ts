import { setTimeout as sleep } from 'node:timers/promises';

export interface WaitOptions {
  /** Milliseconds until it is given up; 10,000 by default. */
  timeout?: number;
  /** What is waited for, for the message. */
  what?: string;
}

/**
 * Polls until `condition` yields something truthy, and resolves to that. A condition that throws counts as
 * not yet fulfilled; what it threw last is the cause of the error when the time is up.
 */
export async function waitFor<T>(condition: () => T | Promise<T>, options: WaitOptions = {}): Promise<NonNullable<T>> {
  const { timeout = 10_000, what = 'a condition' } = options;
  const deadline = performance.now() + timeout;
  let cause: unknown;
  for (;;) {
    try {
      const value = await condition();
      if (value) return value;
      cause = undefined;
    } catch (error) {
      cause = error;
    }
    if (performance.now() > deadline) throw new Error(`timed out after ${timeout} ms waiting for ${what}`, { cause });
    await sleep(20);
  }
}
