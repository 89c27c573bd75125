import { setTimeout as delay } from 'node:timers/promises';
import { StackUnreachableError } from '../../../parent/client/errors.js';
import { printErrorLine } from '../../common/print.js';
import type { FullScreen } from './terminal.js';

export interface FollowOptions<Sample> {
  take(): Promise<Sample>;
  show(before: Sample, now: Sample): void;
  intervalMs: number;
  /** Whether it goes on after the first interval. */
  repeats: boolean;
  signal: AbortSignal;
  /** Where it is shown, if it is one screen. */
  screen: FullScreen | undefined;
}

/** After each interval takes a sample, and shows it with the one before, until the signal aborts or the stack ends. */
export async function follow<Sample>(
  first: Sample,
  { take, show, intervalMs, repeats, signal, screen }: FollowOptions<Sample>,
): Promise<void> {
  let before = first;
  do {
    await delay(intervalMs, undefined, { signal }).catch(() => {});
    if (signal.aborted) return;
    const now = await take().catch(unlessEnded);
    if (now === undefined) {
      screen?.[Symbol.dispose]();
      printErrorLine('the stack has ended');
      return;
    }
    show(before, now);
    before = now;
  } while (repeats);
}

function unlessEnded(error: unknown): undefined {
  if (!(error instanceof StackUnreachableError)) throw error;
}
