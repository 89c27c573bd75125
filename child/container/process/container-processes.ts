/**
 * The processes of containers: whether they live, and how they are ended. A container lives as long as its first process
 * does, or anything in its cgroup, whichever agent or stack started them; until they have ended, none of its addresses and
 * ports may be given to another container.
 */
import { constants } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import { native } from '../../../native/index.js';
import { errnoName } from '../../../protocol/errors/error-text.js';
import { isAlive, type ProcessIdentity } from '../../../protocol/system/process-identity.js';
import { ContainerError } from '../errors.js';
import type { ParentLink } from '../parent-link.js';
import type { RunRecord } from '../storage/container-store.js';
import { isPopulated, killCgroup, removeCgroup } from './cgroups.js';

/** Time limit for the end after SIGKILL, in ms. */
const KILL_TIMEOUT = 20_000;

export class ContainerProcesses {
  constructor(
    private readonly stack: string,
    private readonly parent: ParentLink,
  ) {}

  /** Whether the first process of a run lives, so that the run is not over. */
  isRunning(run: RunRecord): boolean {
    const process = processOf(run);
    return process !== undefined && isAlive(process);
  }

  /** Whether a process of the run lives in its cgroup; false where it has none. */
  isPopulated({ cgroup }: RunRecord): boolean {
    return cgroup !== undefined && isPopulated(cgroup);
  }

  /** Whether an earlier stack started the run; its containers cannot be continued, since their network ended with it. */
  isOfEarlierStack({ stack }: RunRecord): boolean {
    return stack !== this.stack;
  }

  /** Whether a run's monitor has ended before the run. */
  hasLostMonitor(run: RunRecord): boolean {
    const process = processOf(run);
    return process !== undefined && run.monitor !== undefined && !isAlive({ ...process, ...run.monitor });
  }

  /** Signals the first process; does nothing where that has ended. Throws an error with the code EPERM. */
  signal(run: RunRecord, signal: NodeJS.Signals | number): void {
    const process = processOf(run);
    if (!process || !isAlive(process)) return;
    try {
      native().signalProcess(
        process.pid,
        process.startTime,
        typeof signal === 'number' ? signal : constants.signals[signal],
      );
    } catch (error) {
      if (errnoName(error) !== 'ESRCH') throw error;
    }
  }

  /** Ends all processes of a run, by SIGKILL. Throws ContainerError if one lives on. */
  async end(run: RunRecord): Promise<void> {
    const lives = () => this.isRunning(run) || this.isPopulated(run);
    const deadline = performance.now() + KILL_TIMEOUT;
    for (let pause = 1; lives(); pause = Math.min(pause * 2, 50)) {
      if (run.cgroup !== undefined) killCgroup(run.cgroup);
      try {
        this.signal(run, 'SIGKILL');
      } catch (error) {
        throw new ContainerError(`cannot end the process ${run.pid}: ${errnoName(error)}`, 500);
      }
      await delay(pause);
      if (performance.now() > deadline) {
        throw new ContainerError(
          `the process ${run.pid ?? `in the cgroup ${run.cgroup}`} does not end, even after SIGKILL`,
          500,
        );
      }
    }
    if (run.cgroup !== undefined) removeCgroup(run.cgroup);
  }

  /** Has the parent end the first processes of runs of earlier stacks; isRunning() is true for those that live on. */
  async endSurvivors(runs: readonly RunRecord[]): Promise<void> {
    const survivors = runs.flatMap((run) => {
      const process = processOf(run);
      return process && isAlive(process) ? [{ pid: process.pid, startTime: process.startTime }] : [];
    });
    for (let at = 0; at < survivors.length; at += MAX_SURVIVORS) {
      await this.parent.request('survivors-end', { survivors: survivors.slice(at, at + MAX_SURVIVORS) });
    }
  }
}

/** How many processes one request names. */
const MAX_SURVIVORS = 1000;

/** Undefined if the run has no recorded process. */
export function processOf({ pid, startTime, bootId, pidNamespace }: RunRecord): ProcessIdentity | undefined {
  if (pid === undefined || startTime === undefined || bootId === undefined || pidNamespace === undefined)
    return undefined;
  return { pid, startTime, bootId, pidNamespace };
}
