import type { PortDriverInfo, StackEvent } from '../../protocol/api.js';
import type { PortCounters, PortSource, PortSpec, PortState, PortStatus } from '../../protocol/ports.js';
import type { Launcher } from '../namespaces/launcher.js';

/** What happened, without the time, which the event bus adds. */
export type EventBody = StackEvent extends infer E ? (E extends StackEvent ? Omit<E, 'time'> : never) : never;

export interface DriverReport {
  listener: PortState;
  counters: PortCounters;
  source?: PortSource;
  bypass?: boolean;
  bypassReason?: string;
}

/**
 * A port driver forwards ports of the host to the child's network namespace.
 * Specs that reach it are valid (see protocol/port-spec.ts); conflicts among ports of one stack are its own to find.
 */
export interface PortDriver {
  readonly info: PortDriverInfo;
  /** Resolves when the port listens on the host. Rejects with a PortError, and then nothing has changed. */
  add(spec: PortSpec): Promise<PortStatus>;
  /**
   * Publishes a socket that somebody else has opened, which belongs to the driver from then on; undefined where the
   * driver cannot. As add() else.
   */
  adopt?(fd: number, spec: PortSpec): Promise<PortStatus>;
  list(): PortStatus[];
  /** What is to be known of one port now; undefined where the driver cannot tell. */
  report(id: number): DriverReport | undefined;
  /** Resolves when the host's port is free again and its connections are closed. Rejects with a PortError for an unknown id. */
  remove(id: number): Promise<void>;
  /** Tells the driver whether anybody wants connection events, which cost something for each connection. */
  watchConnections(wanted: boolean): void;
  /** Called once, when the command is about to be started; not where there is none. */
  beforeCommand?(launcher: Launcher): Promise<void>;
  close(): Promise<void>;
}
