import type { Origin } from '../dns/origins.js';
import type { PortStatus } from '../ports/rootlesskit-json.js';
import type { PortCounters, PortSource, PortState, Refusal } from '../ports/status.js';

/** Version of the REST API: RootlessKit's, with additions. */
export const API_VERSION = '1.1.2';

export interface NetworkDriverInfo {
  driver: string;
  /** Absent without a network. */
  dns?: string[];
  childIP?: string;
  dynamicChildIP?: boolean;
  ipv6?: boolean;
  /** Additions to RootlessKit's: the child's device, if there is one; its prefix length, default gateway and MTU in bytes. */
  device?: string;
  prefix?: number;
  gateway?: string;
  mtu?: number;
}

export interface PortDriverInfo {
  driver: string;
  protos: string[];
  disallowLoopbackChildIP?: boolean;
  /** Of RootlessKit's builtin driver, `sourceIPTransparentBackend`: nft, iptables or none. */
  extra?: Record<string, string>;
  /** An addition: threads that relay connections, where there are several. */
  threads?: number;
  /**
   * An addition, with the port driver `bypass`: the kernel has no Landlock for TCP, so a hostile program inside can reach the
   * host's loopback with the sockets that it was given.
   */
  hostLoopbackUnguarded?: boolean;
}

/** Response to `GET /v1/info`. `networkDriver` is absent for the host's network, `portDriver` without a port driver. */
export interface Info {
  apiVersion: string;
  version: string;
  stateDir: string;
  /** An addition: the stack's name, if it was given one (--name). */
  name?: string;
  childPID: number;
  networkDriver?: NetworkDriverInfo;
  portDriver?: PortDriverInfo;
  /** An addition: the DNS server for the host's programs (--dns-publish), and its queries by who has answered. */
  hostNames?: { address: string; answers: Record<string, number> };
}

/** An entry of `GET /v1/ports?counters=true`: RootlessKit's fields, and additions. */
export interface PortReport extends PortStatus {
  listener?: PortState;
  counters?: PortCounters;
  /** Absent until such a client has connected. */
  source?: PortSource;
  /** With the port driver `bypass`: whether a server inside has the host's socket now, so that nothing is relayed. */
  bypass?: boolean;
  /** Why a server that requested it does not have it. */
  bypassReason?: string;
  /** Whether it is published again at the next start of the stack. */
  persistent?: boolean;
  /** Connections that were refused, by the reason; absent without any. */
  refusals?: Partial<Record<Refusal, number>>;
  /** Id of the container that it leads to. */
  container?: string;
}

/** An entry of `GET /v1/flows`: an open connection, or a UDP flow. Addresses are `address:port`, `[address]:port` for IPv6. */
export interface Flow {
  protocol: 'tcp' | 'udp';
  /** Out of the namespaces, or in through a published port. */
  direction: 'out' | 'in';
  /** Its number in events. */
  connection: number;
  /** Id of the published port; absent for outbound ones. */
  port?: number;
  /** Who began it: a program inside, or outside. */
  client: string;
  /** Inside: what a program connected to, or where a published port leads; without an address that is decided by the server. */
  destination: string;
  /** On the host: where the destination led, or the published address; without an address that is all of them. */
  host: string;
  /** What the destination is called, where that is known. */
  name?: string;
  /** The program inside: it has chosen its name itself. Absent where it was not found. */
  program?: { pid: number; name: string };
  /** Name of its container. */
  container?: string;
  /** By the program inside, and by the other side. */
  bytesSent: number;
  bytesReceived: number;
  /** In ms since the epoch. */
  since: number;
  verdict: 'allowed';
  /** `connecting` until there is a server; `unanswered` for a UDP flow without an answer. Absent from earlier versions. */
  state?: 'connecting' | 'open' | 'half-closed' | 'unanswered';
  /** Whose address the server sees; absent for outbound ones, and clients on loopback. */
  source?: 'client' | 'agent';
}

/** What a program inside could not reach because of the egress policy. */
export interface EgressDenied {
  type: 'egress-denied';
  /** `dns` for a name that was not resolved. */
  protocol: 'tcp' | 'udp' | 'icmp' | 'dns';
  /** `address:port` inside. */
  client: string;
  /** `address:port`, with the name that the client wanted where it has shown one; or a name. */
  destination: string;
  reason: string;
  /** The rule that denies it; absent for the default. */
  rule?: string;
  /** Name of the container, where it has a policy of its own or of a network. */
  container?: string;
}

/** A query for a name that a DNS server has answered. There are 200 a second of each server's process at most. */
export interface DnsQueryEvent {
  type: 'dns-query';
  /** Of a container network, of the stack's own network, or of the host's programs (--dns-publish). */
  server: 'network' | 'stack' | 'host';
  network?: string;
  /** Its address, and the container that has it, if there is one. */
  client: string;
  container?: string;
  /** "" where the query was malformed. */
  name: string;
  /** Type of the records: A, AAAA … */
  record: string;
  answeredBy: Origin;
  ms: number;
  /** How many before this one were left out. */
  missed?: number;
}

/** A message of `GET /v1/events`, one JSON object a WebSocket text frame. `time` is in ms since the epoch. */
export type StackEvent = { time: number } & (
  | ({ type: 'port-added' } & PortStatus)
  | ({ type: 'port-removed' } & PortStatus)
  | { type: 'port-state'; id: number; listener: PortState }
  | { type: 'connection-opened'; port: number; protocol?: 'tcp' | 'udp'; connection: number; client: string }
  | { type: 'connection-refused'; port: number; connection: number; client: string; reason: string }
  | { type: 'connection-closed'; port: number; connection: number; bytesIn: number; bytesOut: number }
  | ({ type: 'outbound-opened' } & OutboundEvent)
  | ({ type: 'outbound-closed'; bytesSent: number; bytesReceived: number } & OutboundEvent)
  | EgressDenied
  | DnsQueryEvent
  | ContainerEvent
  | { type: 'driver-state'; driver: string; state: 'ready' | 'lost' | 'stopped'; reason?: string }
);

/** What happened to a container or a network. `container` and `network` are names, `id` is the container's, or the network's. */
export type ContainerEvent =
  | { type: 'container-created' | 'container-started' | 'container-removed'; container: string; id: string }
  /** Without an exit code where its end was not observed. */
  | { type: 'container-exited'; container: string; id: string; exitCode?: number }
  | { type: 'network-created' | 'network-removed'; network: string; id: string }
  | { type: 'network-connected' | 'network-disconnected'; network: string; container: string; id: string };

/** As in a Flow. */
export type OutboundEvent = Pick<Flow, 'protocol' | 'connection' | 'client' | 'destination' | 'host' | 'name'>;
