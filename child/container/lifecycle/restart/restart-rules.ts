/** When a container that has ended is restarted, and how soon. The rules are docker's. */
import type { RestartPolicy } from '../../../../protocol/containers/restart-policy.js';
import type { RunRecord } from '../../storage/container-store.js';

/** In ms. */
const FIRST_DELAY = 100;
const MAX_DELAY = 60_000;
/** A run of at least so many ms was a success, after which delays start over. */
const LONG_RUN = 10_000;

/** Whether the policy wants another run after one that has ended, in the same stack. */
export function wantsAnother({ policy, maxRetries }: RestartPolicy, run: RunRecord): boolean {
  if (run.stopped) return false;
  if (policy === 'on-failure') {
    // A run without a known exit code counts as failed; so does one that could not be started.
    const failed = run.failure !== undefined || run.exitCode !== 0;
    return failed && (maxRetries === undefined || (run.restarts ?? 0) < maxRetries);
  }
  return policy !== 'no';
}

/** Whether the policy wants another run when a stack starts, after one in an earlier stack. */
export function wantsAnotherInNewStack(policy: RestartPolicy, run: RunRecord): boolean {
  return policy.policy === 'always' || wantsAnother(policy, run);
}

/**
 * How long to wait before the next run, in ms.
 *
 * @param before the delay before the last run; undefined if there was none
 */
export function nextDelay(before: number | undefined, run: RunRecord): number {
  const length = Date.parse(run.finished ?? '') - Date.parse(run.started ?? '');
  if (before === undefined || (run.failure === undefined && length >= LONG_RUN)) return FIRST_DELAY;
  return Math.min(before * 2, MAX_DELAY);
}
