import type { NetworkDriverInfo } from '../../protocol/api.js';

export interface NetworkOptions {
  /** Bytes; 0 for the driver's own default. */
  mtu: number;
  /** IPv4 network of the child, such as 10.0.2.0/24. */
  cidr: string;
  /** Whether the child may reach the host's loopback through the gateway address. */
  hostLoopback: boolean;
  ipv6: boolean;
}

/** What a driver made, for as long as the stack runs. */
export interface Network {
  readonly info: NetworkDriverInfo;
  /** Called once if the driver's process ends by itself. */
  onLost(listener: (reason: string) => void): void;
  close(): Promise<void>;
}

/**
 * A network driver connects the child's network namespace to the outside. Its lo is brought up elsewhere.
 */
export interface NetworkDriver {
  readonly name: string;
  /** Why it cannot be used on this machine, as one line; undefined where it can. Changes nothing. */
  probe(): Promise<string | undefined>;
  /** `pid` is a process in the child's namespaces. Resolves when the network is up. Throws NetworkError. */
  setup(pid: number, options: NetworkOptions): Promise<Network>;
}
