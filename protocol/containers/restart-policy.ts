/** Restart policies: whether a container that has ended is started again. Names and rules are docker's. */
import { ContainerOptionError } from './option-error.js';

export const RESTART_POLICIES = ['no', 'on-failure', 'always', 'unless-stopped'] as const;

export interface RestartPolicy {
  policy: (typeof RESTART_POLICIES)[number];
  /** With `on-failure`: largest number of restarts in a row; absent for no limit. */
  maxRetries?: number | undefined;
}

export const MAX_RETRIES = 1_000_000_000;

/** `no`, `on-failure[:N]`, `always` or `unless-stopped`; "" is `no`. Throws ContainerOptionError. */
export function parseRestartPolicy(text: string): RestartPolicy {
  const [name = '', count, ...more] = text.split(':');
  const policy = text === '' ? 'no' : RESTART_POLICIES.find((known) => known === name);
  if (policy === undefined || more.length > 0) {
    throw new ContainerOptionError(
      `invalid restart policy ${JSON.stringify(text)}: expected no, on-failure[:COUNT], always or unless-stopped`,
    );
  }
  if (count === undefined) return { policy };
  if (policy !== 'on-failure') {
    throw new ContainerOptionError(
      `invalid restart policy ${JSON.stringify(text)}: only on-failure takes a number of retries`,
    );
  }
  if (!/^\d{1,9}$/.test(count)) {
    throw new ContainerOptionError(
      `invalid restart policy ${JSON.stringify(text)}: expected a number of retries after the colon`,
    );
  }
  // 0 means no limit, as in docker.
  return Number(count) === 0 ? { policy } : { policy, maxRetries: Number(count) };
}
