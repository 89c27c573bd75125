/**
 * Failures on demand, for tests of recovery: where ROOTLESS_NET_FAULTS names a file, each step looks into it. `fail
 * MOMENT` makes that moment throw, `kill MOMENT` ends the agent there as SIGKILL would; once, and the file goes. A moment
 * is `before TASK STEP` or `after TASK STEP`.
 */
import { existsSync, readFileSync, rmSync } from 'node:fs';

/**
 * Whatever changes a container, and its steps, in their order. What follows a step's name after a colon says which
 * network or interface it is for; a moment without that is the first of its kind.
 */
export const STEPS = {
  create: ['name', 'files', 'record'],
  start: ['ports', 'status', 'files', 'bundle', 'create', 'run', 'running'],
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

export class Faults {
  constructor(
    /** Where they are asked for; undefined for never. */
    private readonly file: string | undefined,
  ) {}

  static fromEnvironment(): Faults {
    return new Faults(process.env.ROOTLESS_NET_FAULTS);
  }

  /** Does a step, with the moments before and after it. */
  async step<T extends Task, R>(task: T, step: Step<T>, run: () => Promise<R> | R): Promise<R> {
    this.at('before', task, step);
    const result = await run();
    this.at('after', task, step);
    return result;
  }

  /** Throws InjectedFault where a failure of this moment was asked for. */
  at<T extends Task>(when: 'before' | 'after', task: T, step: Step<T>): void {
    if (this.file === undefined || !existsSync(this.file)) return;
    const [how = '', ...words] = readFileSync(this.file, 'utf8').trim().split(' ');
    const asked = words.join(' ');
    const moment = `${when} ${task} ${step}`;
    if (asked !== moment && asked !== moment.replace(/:.*/, '')) return;
    rmSync(this.file);
    if (how === 'kill') process.kill(process.pid, 'SIGKILL');
    throw new InjectedFault(`a fault at "${moment}" was asked for`);
  }
}
