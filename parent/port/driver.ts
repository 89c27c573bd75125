import type { PortDriverInfo, StackEvent } from '../../protocol/api/types.js';
import type { AutoPort, PortMapping, PublishedPort } from '../../protocol/ports/port-mapping.js';
import type { PortCounters, PortSource, PortState, Refusal } from '../../protocol/ports/status.js';

type WithoutTime<E> = E extends StackEvent ? Omit<E, 'time'> : never;

/** What happened, without the time, which the event bus adds; it also reports each port of a range on its own. */
export type EventBody =
  | { type: 'port-added' | 'port-removed'; ports: PublishedPort }
  | WithoutTime<Exclude<StackEvent, { type: 'port-added' | 'port-removed' }>>;

export interface DriverReport {
  listener: PortState;
  counters: PortCounters;
  source?: PortSource;
  /** Why connections were refused, where any were. */
  refusals?: Partial<Record<Refusal, number>>;
  bypass?: boolean;
  bypassReason?: string;
}

export interface AdoptOptions {
  /** Of the first port, from newId(); a new one unless given. */
  id?: number | undefined;
  /** Id of the container that the port leads to; none unless given. */
  container?: string | undefined;
  /** Given for a port that is published while something listens inside. */
  auto?: AutoPort | undefined;
}

/** What a command needs for its port driver. */
export interface CommandSetup {
  /** The command installs a seccomp filter, and announces it on this socket. */
  filterSocket?: number;
  /** Passed on as by systemd (sd_listen_fds(3)). */
  activated: { fd: number; name: string }[];
}

/**
 * A port driver forwards ports of the host to the child's network namespace. Mappings that reach it are valid (see
 * protocol/ports/grammar.ts); it finds conflicts among ports of one stack itself. A range stays one entry, with
 * consecutive ids, until some of its ports are removed.
 */
export interface PortDriver {
  readonly info: PortDriverInfo;
  /**
   * Resolves when all ports of the mapping listen on the host. Rejects with a PortError, and then nothing has changed.
   * @param id of the first port, from newId(); a new one unless given
   */
  add(mapping: PortMapping, id?: number): Promise<PublishedPort>;
  /** All or none, in one go. One for each mapping, in their order. Rejects with a PortListError. */
  addAll(mappings: readonly PortMapping[]): Promise<PublishedPort[]>;
  /** The first of so many ids that no port has or had. */
  newId(count?: number): number;
  /**
   * Publishes sockets that were opened elsewhere, one for each port of the mapping; they belong to the driver from then
   * on. Undefined if the driver cannot. Otherwise behaves like add().
   */
  adopt?(fds: number[], mapping: PortMapping, options?: AdoptOptions): Promise<PublishedPort>;
  /** By their ids. */
  list(): PublishedPort[];
  /** The state of one port now; undefined if the driver does not know it. */
  report(id: number): DriverReport | undefined;
  /** What the agent is asked for, for connections of that port; absent where the driver does not go through the agent. */
  targetOf?(id: number): Uint8Array | undefined;
  /**
   * Removes the ports with `count` ids from `id` on, as far as they exist. Resolves when the host's ports are free
   * again and their connections are closed. Rejects with UnknownPortError where there are none, and with a PortError
   * where one cannot be removed.
   */
  remove(id: number, count?: number): Promise<void>;
  /** Whether connection events are wanted, which cost something for each connection. */
  watchConnections(wanted: boolean): void;
  /**
   * What the command is started with, beyond what every command gets; called once, just before it starts, and not where
   * there is no command. The descriptors belong to the caller.
   */
  commandSetup?(): CommandSetup;
  /** The network was lost, and is up again: publishes again what was lost with it. */
  restore?(): Promise<void>;
  close(): Promise<void>;
}
