/**
 * The protocol between parent and agent.
 *
 * Theory of operation. The parent creates a SOCK_SEQPACKET socketpair and gives the agent one end. A packet is one
 * message in msgpack; descriptors are passed with the packet that they belong to. Both sides begin with `hello`, and end the
 * connection if the other's protocol version differs. Then:
 *
 *   arrays  the data plane, one connection each; the engine reads and writes them without JavaScript (native/src/connect/wire.h)
 *             [1, id, target, port, attempt, sourceIP, sourcePort]   connect, parent to agent;
 *                                                              several may share a packet
 *             [2, id] with one socket                          connected, agent to parent
 *             [2, id, errno, message]                          failed, agent to parent
 *             [8] with one socket                              another channel, parent to agent: for the connects of one
 *                                                              more thread of the parent's engine
 *             [3, id]                                          pending: connecting takes a while;
 *                                                              several answers may share a packet, and their
 *                                                              sockets come in the order of the answers
 *           `target` is [proto, ip, parentIP, hostGatewayIP, source, container], the same for all ports of a range; the
 *           dial rule (dial-rule.ts) maps it to addresses, once for each target, until something changes.
 *             [4, id, family, count]                           unconnected sockets, parent to agent
 *             [4, id] with up to `count` sockets               … which the parent connects by itself, agent to parent
 *             [5, id, target, sourceIP]                        route, parent to agent
 *             [5, id, epoch, perClient, keepSource, mark, ips] … that the parent may connect them by, agent to parent
 *             [6, id] with a descriptor                        the page with the current epoch, parent to agent
 *             [7, id, tcp, client, query]                      a DNS query of a container for the host's resolvers, agent to
 *                                                              parent: `client` is the container's address, `query` the
 *                                                              message as it came
 *             [7, id, reply]                                   … its answer, "" for none, parent to agent; the egress policy
 *                                                              applies (native/src/dns/link/)
 *             [9, key] with a socket                           of a DNS server, which the parent keeps, agent to parent; and
 *                                                              gives to the next agent
 *             [9, key]                                         … which it need not keep any more
 *   maps    everything else, below
 *
 * An invalid packet ends the connection between the two, and is logged; the parent then starts another agent. Relayed
 * connections are not affected.
 */
import { Packr } from 'msgpackr';
import type { EgressReport } from '../api/egress.js';
import type { LimitReport } from '../api/limit.js';
import type { OverlayName } from '../overlay/types.js';
import { type AutoPublish, type Listener, parseListeners } from '../ports/auto.js';
import type { CNIPortMapping } from '../ports/cni-json.js';
import type { StackRecord } from '../state/stack-record.js';
import type { StackCgroup } from '../system/cgroup.js';
import type { PublishedNames } from './published-names.js';
import type { QueryReport } from './query-reports.js';

export const PROTOCOL_VERSION = 12;

/** Plain msgpack: maps are encoded as maps, not as msgpackr's extension for records. */
const packr = new Packr({ useRecords: false, variableMapSize: true });

/** The target of a port's connections, as far as the parent knows it. Absent addresses are "". */
export interface ConnectTarget {
  proto: 'tcp' | 'udp';
  /** The requested address of the child (ChildIP). */
  ip: string;
  /** The host's address that the port is published on. */
  parentIP: string;
  /** First address of the host that is not loopback: where traffic to the host as a gateway arrives. */
  hostGatewayIP: string;
  /** Whether servers see the addresses of clients that are not on loopback, or the agent's. */
  source: 'keep' | 'hide';
  /** Id of the container that the port belongs to: the agent knows its addresses, `ip` among them. */
  container: string;
}

/** Configuration for running containers (child/container/). Directories are absolute, and the same inside. */
export interface ContainersConfig {
  /** Id of this run of the stack, which distinguishes leftovers of earlier runs. */
  stack: string;
  /** The state directory, which is removed with the stack. */
  stateDir: string;
  /** The data directory, which outlasts the stack: containers, names, addresses, the journal. */
  dataDir: string;
  /** Directory of the network configuration lists, shared with other CNI runtimes. */
  confDir: string;
  /** Parent of the containers' cgroups; undefined if the OCI runtime places them. */
  cgroup?: StackCgroup | undefined;
  /** The record to write into the lock of the data directory. */
  record: StackRecord;
  /** Whether the parent answers the host's programs with names of containers. */
  publishNames: boolean;
}

/** The host and the stack's own network, at the time of the request. */
export interface HostInfo {
  /** Text of the host's /etc/resolv.conf; "" if there is none. */
  resolvConf: string;
  /** Text of systemd-resolved's own file, if there is one. */
  resolvedConf?: string | undefined;
  hostname: string;
  /** DNS servers of the stack's network. */
  dns: string[];
  /** The families with which the stack's network reaches the outside. */
  reach: { v4: boolean; v6: boolean };
  /** What host-gateway is for containers; "" if there is none. */
  hostGatewayIP: string;
  /** Where containers reach ports of the host by its names (protocol/net/host-names.ts); "" where they reach none. */
  hostAddress: string;
  /** MTU of the stack's network, in bytes; 0 if unknown. */
  mtu: number;
  /**
   * Device behind which the parent sees the addresses of containers, and decides for each what it may reach; "" where the
   * stack's network sends everything from one address.
   */
  direct: string;
  /** Whether the stack has an egress policy. */
  policed: boolean;
}

/** Addresses that our networks must not have. */
export interface HostNetwork {
  /** In CIDR notation. */
  subnet: string;
  /** What uses them, for messages: `the host's route 10.8.0.0/16 dev tun0`. */
  what: string;
  /** Whether it is the stack's own network. */
  own?: boolean | undefined;
}

/** Which listeners are to be reported. */
export type ListenerRule = Pick<AutoPublish, 'transport' | 'ports'>;

/** Ports of a container that are published while something listens there. */
export interface AutoPortsRequest {
  /** Id of the container. */
  owner: string;
  name: string;
  /** The container's address. */
  childIP: string;
  /** As `-p` takes them (protocol/ports/auto.ts). */
  rules: string[];
}

/** Requests of the agent by name, with their parameters and results. */
export interface AgentRequests {
  'host-info': { params: Record<string, never>; result: HostInfo };
  /** The host's routes, rules and addresses, and the stack's network; the most specific first. */
  'host-networks': { params: Record<string, never>; result: { networks: HostNetwork[] } };
  /**
   * Opens the listeners, all or none; connections wait until they are activated. The owner's earlier ports are closed.
   * Returns the host's ports, which were chosen where any free one was requested.
   */
  'ports-reserve': { params: { owner: string; ranges: CNIPortMapping[] }; result: { hostPorts: number[] } };
  /** Connects the owner's ports to this address from now on; by the dial rule if it is "". */
  'ports-activate': { params: { owner: string; childIP: string }; result: Record<string, never> };
  /**
   * Publishes from now on what `listeners` messages report of the owner, until its ports are released; nothing changes for an
   * owner that has begun with the same.
   */
  'ports-auto': { params: AutoPortsRequest; result: Record<string, never> };
  'ports-release': { params: { owner: string }; result: Record<string, never> };
  /**
   * Ends processes of containers that an earlier stack has left, given by pid (in the parent's pid namespace) and start time.
   * Returns the pids of those that still run.
   */
  'survivors-end': { params: { survivors: { pid: number; startTime: string }[] }; result: { living: number[] } };
  /** All names of containers here on an overlay network, which replace those of before. */
  'overlay-names': { params: { network: string; names: OverlayName[] }; result: Record<string, never> };
  /** The names of all networks, which replace those of before, for the host's programs. */
  'published-names': { params: PublishedNames; result: Record<string, never> };
  /** Queries that were answered, while they are wanted. */
  'dns-queries': { params: { queries: QueryReport[] }; result: Record<string, never> };
  /** The ports that are open because of `ports-auto`. */
  'ports-opened': { params: { owner: string }; result: { ports: CNIPortMapping[] } };
  /** The owners of ports. */
  'ports-owners': { params: Record<string, never>; result: { owners: string[] } };
  /**
   * Rules of a policy (lines of an egress file), by its key (protocol/egress/container-policy.ts); for all containers that
   * have it, from the reply on. None removes it.
   */
  'egress-policy': { params: { key: string; rules: string[] }; result: Record<string, never> };
  /**
   * A container that has policies or a rate limit, with its addresses: what they send is decided by these, from the reply on.
   */
  'egress-set': {
    params: { id: string; name: string; addresses: string[]; policies: string[]; limit?: string | undefined };
    result: Record<string, never>;
  };
  /** Datagrams that the rate limit of a container has cost; absent where it has none. */
  'egress-dropped': { params: { owner: string }; result: { dropped?: LimitReport['dropped'] | undefined } };
  'egress-remove': { params: { owner: string }; result: Record<string, never> };
  /** The containers that have policies. */
  'egress-ids': { params: Record<string, never>; result: { ids: string[] } };
  /** One of a container's policies with its counters. */
  'egress-report': { params: { id: string; key: string }; result: { report?: EgressReport | undefined } };
}

/** Where connections of a port lead inside, and what became of them. */
export interface TargetTrace {
  /** In the order of the dial rule, up to the first that answers; with the errno, "" for an answer. */
  tried: { ip: string; error: string }[];
  /** Addresses that programs are bound to on that port. */
  listening: string[];
  /** Whether connections are made in the network namespace of the container. */
  entersNetns: boolean;
}

export type AgentRequest = keyof AgentRequests;

/** `resolvers`: resolv.conf; `networks`: routes, rules and addresses. */
export type HostAspect = 'resolvers' | 'networks';

export type Message =
  | { type: 'hello'; version: number; pid: number }
  /** Agent to parent: a piece of a message that is too long for a packet (parts.ts). */
  | { type: 'part'; last: boolean; data: Uint8Array }
  | { type: 'log'; level: 'warn' | 'debug'; text: string }
  /** Parent to agent, periodically; answered with `pong` by the JavaScript thread. */
  | { type: 'ping' }
  | { type: 'pong' }
  /** Parent to agent: no port has that target any longer. */
  | { type: 'forget'; target: Uint8Array }
  /** Parent to agent: run containers. Answered with `containers-ready`, or `log` and the agent's end. */
  | { type: 'containers'; config: ContainersConfig }
  | { type: 'containers-ready' }
  | { type: 'containers-failed'; text: string }
  /** Parent to agent: stop containers, with SIGKILL after `timeout` ms; answered with `containers-stopped`. */
  | { type: 'containers-stop'; timeout: number }
  | { type: 'containers-stopped' }
  /** Parent to agent: how many containers run, or will be restarted; answered with `containers-used`. */
  | { type: 'containers-use' }
  | { type: 'containers-used'; count: number }
  /** Parent to agent: the host has changed; its facts have to be requested again. */
  | { type: 'host-changed'; what: HostAspect }
  /** Parent to agent: report what listens in the stack's own namespace, at first and after each change. */
  | { type: 'watch-listeners'; rules: readonly ListenerRule[] }
  /** Agent to parent: all that listens in the stack's namespace, or in that of a container, by its id. */
  | { type: 'listeners'; container: string; listeners: readonly Listener[] }
  /** Parent to agent: whether it wants to know of DNS queries. */
  | { type: 'watch-queries'; wanted: boolean }
  /** Parent to agent: try where a target leads (`rootlessctl trace`); answered with `traced`. */
  | { type: 'trace'; id: number; target: Uint8Array; port: number }
  /** The parent validates the result; undefined where it failed. */
  | { type: 'traced'; id: number; result: unknown }
  /** Agent to parent: a ContainerEvent, which the parent validates. */
  | { type: 'event'; event: unknown }
  /** Agent to parent; answered with a `reply` of the same id. The parent validates the params. */
  | { type: 'request'; id: number; name: string; params: unknown }
  | { type: 'reply'; id: number; result: unknown }
  | { type: 'reply'; id: number; error: string };

const SIMPLE = ['ping', 'pong', 'containers-ready', 'containers-stopped', 'containers-use'] as const;

/** An invalid packet: truncated, or from another version. */
export class ProtocolError extends Error {
  override name = 'ProtocolError';
}

export function encodeTarget(target: ConnectTarget): Buffer {
  const { proto, ip, parentIP, hostGatewayIP, source, container } = target;
  return packr.pack([proto, ip, parentIP, hostGatewayIP, source, container]);
}

/** Throws ProtocolError. */
export function decodeTarget(data: Uint8Array): ConnectTarget {
  const value = decode(data);
  if (Array.isArray(value) && value.length === 6) {
    const [proto, ip, parentIP, hostGatewayIP, source, container]: unknown[] = value;
    if (
      (proto === 'tcp' || proto === 'udp') &&
      typeof ip === 'string' &&
      typeof parentIP === 'string' &&
      typeof hostGatewayIP === 'string' &&
      (source === 'keep' || source === 'hide') &&
      typeof container === 'string'
    ) {
      return { proto, ip, parentIP, hostGatewayIP, source, container };
    }
  }
  throw new ProtocolError('invalid connect target');
}

export function encodeMessage(message: Message): Buffer {
  return packr.pack(message);
}

/** Throws ProtocolError. */
export function decodeMessage(data: Uint8Array): Message {
  const value = decode(data);
  if (typeof value === 'object' && value !== null && 'type' in value) {
    const message = value as Record<string, unknown>;
    if (message.type === 'hello' && typeof message.version === 'number' && typeof message.pid === 'number') {
      return { type: 'hello', version: message.version, pid: message.pid };
    }
    if (message.type === 'log' && typeof message.text === 'string') {
      return { type: 'log', level: message.level === 'debug' ? 'debug' : 'warn', text: message.text };
    }
    if (message.type === 'part' && typeof message.last === 'boolean' && message.data instanceof Uint8Array) {
      return { type: 'part', last: message.last, data: message.data };
    }
    if (message.type === 'forget' && message.target instanceof Uint8Array) {
      return { type: 'forget', target: message.target };
    }
    const simple = SIMPLE.find((type) => type === message.type);
    if (simple) return { type: simple };
    if (message.type === 'containers-stop' && typeof message.timeout === 'number') {
      return { type: 'containers-stop', timeout: message.timeout };
    }
    if (message.type === 'containers-used' && typeof message.count === 'number') {
      return { type: 'containers-used', count: message.count };
    }
    if (message.type === 'host-changed') {
      return { type: 'host-changed', what: message.what === 'resolvers' ? 'resolvers' : 'networks' };
    }
    if (message.type === 'watch-queries' && typeof message.wanted === 'boolean') {
      return { type: 'watch-queries', wanted: message.wanted };
    }
    if (message.type === 'containers' && typeof message.config === 'object') {
      return { type: 'containers', config: message.config as ContainersConfig };
    }
    if (message.type === 'watch-listeners' && Array.isArray(message.rules)) {
      return { type: 'watch-listeners', rules: message.rules as ListenerRule[] };
    }
    const listeners = message.type === 'listeners' ? parseListeners(message.listeners) : undefined;
    if (listeners && typeof message.container === 'string') {
      return { type: 'listeners', container: message.container, listeners };
    }
    if (message.type === 'containers-failed' && typeof message.text === 'string') {
      return { type: 'containers-failed', text: message.text };
    }
    if (message.type === 'request' && typeof message.id === 'number' && typeof message.name === 'string') {
      return { type: 'request', id: message.id, name: message.name, params: message.params };
    }
    if (
      message.type === 'trace' &&
      typeof message.id === 'number' &&
      typeof message.port === 'number' &&
      message.target instanceof Uint8Array
    ) {
      return { type: 'trace', id: message.id, target: message.target, port: message.port };
    }
    if (message.type === 'event') return { type: 'event', event: message.event };
    if (message.type === 'traced' && typeof message.id === 'number') {
      return { type: 'traced', id: message.id, result: message.result };
    }
    if (message.type === 'reply' && typeof message.id === 'number') {
      const { id, result, error } = message;
      return typeof error === 'string' ? { type: 'reply', id, error } : { type: 'reply', id, result };
    }
    throw new ProtocolError(`unknown message type ${JSON.stringify(message.type)}`);
  }
  throw new ProtocolError('invalid message: expected a msgpack map');
}

function decode(data: Uint8Array): unknown {
  try {
    return packr.unpack(data);
  } catch {
    throw new ProtocolError(`invalid message of ${data.length} bytes: truncated or not msgpack`);
  }
}
