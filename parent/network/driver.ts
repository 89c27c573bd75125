import type { EgressCounters, Engine, LearnedRules } from '../../native/index.js';
import type { NetworkDriverInfo } from '../../protocol/api/types.js';
import type { HostPort } from '../../protocol/ports/host-port.js';
import type { PacketChannel } from '../engine/engine-host.js';
import type { Problem } from '../errors.js';

export interface NetworkOptions {
  /** Bytes; 0 for the driver's own default. */
  mtu: number;
  /** IPv4 network of the child, such as 10.0.2.0/24. */
  cidr: string;
  /** Where the host has a route to that network: choose another one, or log it; neither unless given. */
  hostNetworks?: 'avoid' | 'report';
  /** Name of the device in the child; absent for the driver's own default. */
  ifname?: string;
  /** Whether the child may reach the host's loopback through the gateway address. */
  hostLoopback: boolean;
  /** Ports of the gateway's addresses that lead to the host all the same; the start fails where the network has none such. */
  hostPorts?: readonly HostPort[];
  /** Whether the start fails where the network cannot deny that access; otherwise a line is logged. */
  refuseHostLoopback?: boolean;
  /** Requested by the user. */
  ipv6: boolean;
  /** Where it is not requested: a driver may have IPv6 all the same, if the host has. */
  autoIPv6?: boolean;
  slirp4netns: { binary: string; sandbox: Switch; seccomp: Switch };
  pasta: { binary: string };
  lxcUserNic: { binary?: string; bridge: string };
}

/** `auto` is on where the program and the other options allow it. */
export type Switch = 'auto' | 'on' | 'off';

/** A gateway's addresses of one family; `prefix` is the prefix length of the network that all of them are in. */
export interface GatewayAddresses {
  child: string;
  gateway: string;
  dns: string;
  prefix: number;
}

export interface GatewayOptions {
  /** Name of the device in the child. */
  ifname: string;
  mtu: number;
  hostLoopback: boolean;
  hostPorts: readonly HostPort[];
  ipv4: GatewayAddresses;
  ipv6?: GatewayAddresses;
}

/** The child's way out through the engine. */
export interface Gateway extends EgressGateway, LearningGateway {
  /** Where names are resolved on the host: addresses, which may have a zone; and its search list. */
  setResolvers(ips: readonly string[], search: readonly string[]): void;
  close(): void;
}

/** The namespaces that a network is set up for. */
export interface ChildNamespaces {
  /** A process in all of them; where the network namespace is detached, in the host's instead. */
  readonly pid: number;
  /** Path of a detached network namespace, in this process's view of the file system. */
  readonly netns?: string;
  /** The state directory, for sockets of the driver. */
  readonly stateDir: string;
  warn(line: string): void;
  /** Whether they have ended. */
  readonly ended: boolean;
  hasDefaultRoute(): Promise<boolean>;
  /**
   * Makes a persistent tap device of that name in the child's network namespace; or removes it. Resolves with false where
   * that fails.
   */
  keepTap(name: string, kept: boolean): Promise<boolean>;
  /** Sets the flag MULTICAST of a device in the child's network namespace. Resolves with false where that fails. */
  allowMulticast(name: string): Promise<boolean>;
  /**
   * Makes a device in the child's network namespace, and routes to it, by which the engine gets what is for other hosts.
   * Throws LauncherRequestError, and then nothing of it is left.
   */
  openGateway(options: GatewayOptions): Promise<Gateway>;
  /**
   * Starts a program in the child's network namespace, as root there. Its descriptor 3 is the other end of the channel,
   * which is closed when the program ends; the program is not ended with the channel.
   */
  start(command: readonly string[]): Promise<PacketChannel>;
}

/** What the port driver needs from the network. */
export interface NetworkDemands {
  /** Path of a socket on which slirp4netns takes requests for ports. */
  apiSocket?: string;
  /** Every port that is opened in the child is published. */
  implicitPorts: boolean;
}

/** As Engine's in native/index.ts: policies of containers. */
export type SourceGateway = Pick<
  Engine,
  'setSource' | 'removeSource' | 'setSourceHost' | 'sourceCounters' | 'limitSource'
>;

/** A network that enforces an egress policy. */
export interface EgressGateway {
  readonly sources: SourceGateway;
  /** As Engine.setEgress() in native/index.ts. */
  setEgress(policy: Uint8Array, hostAddresses: readonly string[]): boolean;
  /** Of the default, and of each rule in their order. */
  egressCounters(): EgressCounters[];
}

/** A network that records what a policy would have to allow. */
export interface LearningGateway {
  /** As in Engine in native/index.ts. */
  learnEgress(hostAddresses: readonly string[]): boolean;
  learnedRules(known: number): LearnedRules;
}

/** A network that a driver has set up, for as long as the stack runs. */
export interface Network {
  /** Undefined for the host's network. */
  readonly info?: NetworkDriverInfo | undefined;
  /** Called once if the driver's process ends by itself. */
  onLost(listener: (reason: string) => void): void;
  /** Absent where it has no policy. */
  readonly egress?: (EgressGateway & LearningGateway) | undefined;
  /** Whether it is lost, and not up again yet. */
  readonly isLost?: boolean;
  /** Options that have no effect, a line each. */
  readonly warnings?: readonly string[];
  /** The listener is called each time that the network was lost and is up again. */
  onRestored?(listener: () => void): void;
  close(): Promise<void>;
}

/**
 * A network driver connects the child's network namespace to the outside. Its lo is brought up elsewhere.
 */
export interface NetworkDriver {
  readonly name: string;
  /** Why it cannot be used on this machine; undefined if it can. Changes nothing. */
  probe(options: NetworkOptions): Promise<Problem | undefined>;
  /** Starts work of setup() that does not need the namespaces. */
  prepare?(options: NetworkOptions): void;
  /** Resolves when the network is up. Throws NetworkError, and then nothing of it is left. */
  setup(child: ChildNamespaces, options: NetworkOptions, demands: NetworkDemands): Promise<Network>;
  /** Like setup(), after an earlier network has ended by itself; absent if the driver cannot set it up again. */
  setupAgain?(child: ChildNamespaces, options: NetworkOptions, demands: NetworkDemands): Promise<Network>;
}
