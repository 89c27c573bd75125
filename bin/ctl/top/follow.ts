import { setTimeout as delay } from 'node:timers/promises';

export interface FollowOptions<Sample> {
  take(): Promise<Sample>;
  show(before: Sample, now: Sample): void;
  intervalMs: number;
  /** Whether it goes on after the first interval. */
  repeats: boolean;
  signal: AbortSignal;
}

/** After each interval takes a sample, and shows it with the one before, until the signal aborts. */
export async function follow<Sample>(
  first: Sample,
  { take, show, intervalMs, repeats, signal }: FollowOptions<Sample>,
): Promise<void> {
  let before = first;
  do {
    await delay(intervalMs, undefined, { signal }).catch(() => {});
    if (signal.aborted) return;
    const now = await take();
    show(before, now);
    before = now;
  } while (repeats);
}
