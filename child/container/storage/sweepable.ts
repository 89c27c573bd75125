/** What garbage collection and the stores that it sweeps know of each other. */
import type { GarbageReport } from '../../../protocol/containers/types.js';

/** A store that can find, and repair, what differs from what should be. */
export interface Sweepable {
  sweep(sweep: Sweep): Promise<void>;
}

export interface Sweep {
  containers: LiveContainers;
  report: ReportGarbage;
  /** Whether what is found is repaired. */
  repair: boolean;
  /** Whether only what can be repaired without loss is. */
  safe: boolean;
}

/** Reports a difference, and repairs it where that is wanted. A repair that throws is warned of. */
export type ReportGarbage = (
  kind: GarbageReport['kind'],
  what: string,
  repair: () => Promise<unknown> | unknown,
) => Promise<void>;

/** Which containers there are, and which of them should have a network now; those of other OCI runtimes included. */
export interface LiveContainers {
  /** Our own, running or not. */
  own(): { id: string; name: string }[];
  isOwn(id: string): boolean;
  /** Whether it is one of our own, or its record cannot be parsed. */
  isRecorded(id: string): boolean;
  /** Whether the name is that container's, or may be, since its record cannot be parsed. */
  mayOwnName(id: string, name: string): boolean;
  /** Its name, or its short id. */
  nameOf(id: string): string;
  /** Whether a container should have a network now. */
  isLive(id: string): Promise<boolean>;
  /** Runs the task, during which the container is not started; not at all where it is live by then. */
  unlessLive(id: string, task: () => Promise<void>): Promise<void>;
  /** Runs the task, during which the container is neither started nor ended; not at all where it is not live by then. */
  whileLive(id: string, task: () => Promise<void>): Promise<void>;
  /** Enters a running container of our own into its peers' hosts files, under the name that it has now. */
  publishPeerNames(id: string): Promise<void>;
}
