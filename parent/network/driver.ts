import type { NetworkDriverInfo } from '../../protocol/api.js';
import type { PacketChannel } from '../channels.js';
import type { Problem } from '../errors.js';

export interface NetworkOptions {
  /** Bytes; 0 for the driver's own default. */
  mtu: number;
  /** IPv4 network of the child, such as 10.0.2.0/24. */
  cidr: string;
  /** Name of the device in the child; absent for the driver's own default. */
  ifname?: string;
  /** Whether the child may reach the host's loopback through the gateway address. */
  hostLoopback: boolean;
  ipv6: boolean;
  slirp4netns: { binary: string; sandbox: Switch; seccomp: Switch };
  pasta: { binary: string };
  lxcUserNic: { binary?: string; bridge: string };
}

/** `auto` is on where the program and the rest of the set-up allow it. */
export type Switch = 'auto' | 'on' | 'off';

/** The namespaces that a network is for. */
export interface ChildNamespaces {
  /** A process in all of them; but in the host's network namespace, where the child's is detached. */
  readonly pid: number;
  /** Path of a detached network namespace, as it is seen from here. */
  readonly netns?: string;
  /** The state directory, for sockets of the driver. */
  readonly stateDir: string;
  hasDefaultRoute(): Promise<boolean>;
  /**
   * Makes a tap device of that name in the child's network namespace, to stay as long as that does; or removes it, before
   * the command is started. False where it cannot.
   */
  keepTap(name: string, kept: boolean): Promise<boolean>;
  /**
   * Starts a program in the child's network namespace, as root there. Its descriptor 3 is the other end of the channel,
   * which is closed when the program ends; the program is not ended with the channel.
   */
  start(command: readonly string[]): Promise<PacketChannel>;
}

/** What the port driver wants of the network. */
export interface NetworkDemands {
  /** Path of a socket on which slirp4netns takes requests for ports. */
  apiSocket?: string;
  /** Ports that are opened in the child are to be published without being asked for. */
  implicitPorts: boolean;
}

/** What a driver made, for as long as the stack runs. */
export interface Network {
  /** Undefined for the host's network. */
  readonly info?: NetworkDriverInfo;
  /** Called once if the driver's process ends by itself. */
  onLost(listener: (reason: string) => void): void;
  close(): Promise<void>;
}

/**
 * A network driver connects the child's network namespace to the outside. Its lo is brought up elsewhere.
 */
export interface NetworkDriver {
  readonly name: string;
  /** Why it cannot be used on this machine; undefined where it can. Changes nothing. */
  probe(options: NetworkOptions): Promise<Problem | undefined>;
  /** Begins with what setup() needs and what can be had before there are namespaces. */
  prepare?(options: NetworkOptions): void;
  /** Resolves when the network is up. Throws NetworkError, and then nothing of it is left. */
  setup(child: ChildNamespaces, options: NetworkOptions, demands: NetworkDemands): Promise<Network>;
}
