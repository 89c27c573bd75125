/**
 * Fault injection, for tests of recovery: where ROOTLESS_NET_FAULTS names a file, each step reads it. `fail MOMENT` makes
 * that moment throw, `kill MOMENT` kills the agent there by SIGKILL; once, after which the file is removed. A moment is
 * `before TASK STEP` or `after TASK STEP`.
 */
import { existsSync, readFileSync, rmSync } from 'node:fs';

/**
 * The tasks that change a container, and their steps in order. A step's name may be followed by a colon and the network or
 * interface that it is for; a moment without that matches the first such step.
 */
export const STEPS = {
  create: ['name', 'files', 'record'],
  start: ['ports', 'status', 'files', 'bundle', 'create', 'process', 'run', 'running'],
  attach: [
    'journal',
    'ports',
    'bridge',
    'cni-del',
    'netns',
    'cni-add',
    'address',
    'device',
    'routes',
    'publish',
    'names',
    'complete',
  ],
  detach: ['ports', 'names', 'journal', 'device', 'address', 'complete'],
  end: ['delete', 'detach', 'files', 'status'],
  rename: ['name', 'record', 'old-name', 'peers'],
  remove: ['detach', 'addresses', 'record', 'name'],
} as const;

export type Task = keyof typeof STEPS;
type PlainStep<T extends Task> = (typeof STEPS)[T][number];
export type Step<T extends Task> = PlainStep<T> | `${PlainStep<T>}:${string}`;

export class InjectedFault extends Error {
  override name = 'InjectedFault';
}

export class FaultInjector {
  constructor(
    /** The file that requests faults; undefined for none. */
    private readonly file: string | undefined,
  ) {}

  static fromEnvironment(): FaultInjector {
    return new FaultInjector(process.env.ROOTLESS_NET_FAULTS || undefined);
  }

  /** Runs a step, with the moments before and after it. Throws InjectedFault. */
  async step<T extends Task, R>(task: T, step: Step<T>, run: () => Promise<R> | R): Promise<R> {
    this.at('before', task, step);
    const result = await run();
    this.at('after', task, step);
    return result;
  }

  /** Throws InjectedFault if a failure at this moment is requested. */
  at<T extends Task>(when: 'before' | 'after', task: T, step: Step<T>): void {
    if (this.file === undefined || !existsSync(this.file)) return;
    const [how = '', ...words] = readFileSync(this.file, 'utf8').trim().split(' ');
    const requested = words.join(' ');
    const moment = `${when} ${task} ${step}`;
    if (requested !== moment && requested !== moment.replace(/:.*/, '')) return;
    rmSync(this.file);
    if (how === 'kill') process.kill(process.pid, 'SIGKILL');
    throw new InjectedFault(`injected fault: ${moment}`);
  }
}
