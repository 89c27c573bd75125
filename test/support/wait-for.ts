import { setTimeout as sleep } from 'node:timers/promises';

/** Set where everything takes several times as long, as with a sanitizer. */
export const slowVariable = 'ROOTLESS_NET_TEST_SLOW';
/** How many times as long as elsewhere is waited. */
export const patience = process.env[slowVariable] ? 4 : 1;

export interface WaitOptions {
  /** Milliseconds until it is given up, on a machine that is not slow; 10,000 by default. */
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
  const limit = timeout * patience;
  const deadline = performance.now() + limit;
  let cause: unknown;
  for (;;) {
    try {
      const value = await condition();
      if (value) return value;
      cause = undefined;
    } catch (error) {
      cause = error;
    }
    if (performance.now() > deadline) throw new Error(`timed out after ${limit} ms waiting for ${what}`, { cause });
    await sleep(20);
  }
}
