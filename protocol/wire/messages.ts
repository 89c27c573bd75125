/**
 * What the parent and the agent say to each other.
 *
 * Theory of operation. The parent makes a SOCK_SEQPACKET socketpair and gives the agent one end. A packet is one
 * message in msgpack; descriptors ride on the packet that they belong to. Both sides begin with `hello`; a side that
 * reads another protocol version in it ends the connection. Then:
 *
 *   arrays  the data plane, one connection each; the engine reads and writes them without JavaScript (native/src/wire.h)
 *             [1, id, target, attempt, sourceIP, sourcePort]   connect, parent to agent;
 *                                                              several may share a packet
 *             [2, id] with one socket                          connected, agent to parent
 *             [2, id, errno, message]                          failed, agent to parent
 *             [3, id]                                          pending: connecting takes its time;
 *                                                              several answers may share a packet, and their
 *                                                              sockets come in the order of the answers
 *           `target` is [proto, ip, port, parentIP, hostGatewayIP, source]; the dial rule (dial-rule.ts) says where it
 *           leads, and is asked once for each target.
 *   maps    everything else, below
 *
 * A packet that cannot be understood ends the connection between the two, with a line that says so; the parent then
 * starts another agent. Connections that are relayed already do not notice.
 */
import { Packr } from 'msgpackr';

export const PROTOCOL_VERSION = 4;

/** Plain msgpack: maps as maps, and not as the extension that msgpackr makes of them by default. */
const packr = new Packr({ useRecords: false, variableMapSize: true });

/** Where a port's connections are to go, as far as the parent knows. Addresses are "" where there is none. */
export interface ConnectTarget {
  proto: 'tcp' | 'udp';
  /** The child's address that was asked for (ChildIP). */
  ip: string;
  port: number;
  /** The host's address that the port is published on. */
  parentIP: string;
  /** First address of the host that is not loopback: where traffic to the host as a gateway would arrive. */
  hostGatewayIP: string;
  /** Whether servers see the addresses of clients that are not on loopback, or those of the agent. */
  source: 'keep' | 'hide';
}

/** What the agent needs to run containers (child/container/). Directories are absolute, and the same inside. */
export interface ContainersConfig {
  /** Of this run of the stack, so that what an earlier one left is told from what lives. */
  stack: string;
  /** The state directory, which goes with the stack. */
  stateDir: string;
  /** What outlasts it: containers, names, addresses, the journal. */
  dataDir: string;
  /** Network configuration lists, as other CNI runtimes use them. */
  confDir: string;
}

/** What the parent knows of the host and the stack's own network, at the moment of asking. */
export interface HostFacts {
  /** Text of the host's /etc/resolv.conf; "" where there is none. */
  resolvConf: string;
  /** Text of systemd-resolved's own file, where there is one. */
  resolvedConf?: string | undefined;
  hostname: string;
  /** Resolvers of the stack's network. */
  dns: string[];
  /** Where containers find the host; "" where there is no way. */
  hostGatewayIP: string;
  /** Of the stack's network, in bytes; 0 where it is unknown. */
  mtu: number;
}

/** Ports of one owner, on consecutive numbers: `count` from hostPort on, each to the container's port in the same place. */
export interface PortRange {
  protocol: 'tcp' | 'udp';
  hostIP: string;
  /** 0 for any free one. */
  hostPort: number;
  /** The first that is free from hostPort to this one is taken. */
  hostPortEnd?: number | undefined;
  containerPort: number;
  count: number;
}

/** Requests of the agent, by their names: what goes with them, and what comes back. */
export interface AgentRequests {
  facts: { params: Record<string, never>; result: HostFacts };
  /** Opens the listeners, all or none; connections wait until they are activated. What the owner had is closed. */
  'ports-reserve': { params: { owner: string; ranges: PortRange[] }; result: { hostPorts: number[] } };
  /** The owner's connections go to this address from now on; to where the dial rule says where it is "". */
  'ports-activate': { params: { owner: string; childIP: string }; result: Record<string, never> };
  'ports-release': { params: { owner: string }; result: Record<string, never> };
  /** Who holds ports. */
  'ports-owners': { params: Record<string, never>; result: { owners: string[] } };
}

export type AgentRequest = keyof AgentRequests;

export type Message =
  | { type: 'hello'; version: number; pid: number }
  | { type: 'log'; level: 'warn' | 'debug'; text: string }
  /** Parent to agent: no port leads to that target any more. */
  | { type: 'forget'; target: Uint8Array }
  /** Parent to agent: run containers. Answered with `containers-ready`, or `log` and the agent's end. */
  | { type: 'containers'; config: ContainersConfig }
  | { type: 'containers-ready' }
  | { type: 'containers-failed'; text: string }
  /** Parent to agent: end them, answered with `containers-stopped`. */
  | { type: 'containers-stop' }
  | { type: 'containers-stopped' }
  /** Agent to parent; answered with a `reply` of the same id. The parent checks the params. */
  | { type: 'request'; id: number; name: string; params: unknown }
  | { type: 'reply'; id: number; result: unknown }
  | { type: 'reply'; id: number; error: string };

const SIMPLE = ['containers-ready', 'containers-stop', 'containers-stopped'] as const;

/** A packet that is not one of ours: torn, or from another version. */
export class ProtocolError extends Error {
  override name = 'ProtocolError';
}

export function encodeTarget(target: ConnectTarget): Buffer {
  const { proto, ip, port, parentIP, hostGatewayIP, source } = target;
  return packr.pack([proto, ip, port, parentIP, hostGatewayIP, source]);
}

/** Throws ProtocolError. */
export function decodeTarget(data: Uint8Array): ConnectTarget {
  const value = decode(data);
  if (Array.isArray(value) && value.length === 6) {
    const [proto, ip, port, parentIP, hostGatewayIP, source]: unknown[] = value;
    if (
      (proto === 'tcp' || proto === 'udp') &&
      typeof ip === 'string' &&
      typeof port === 'number' &&
      typeof parentIP === 'string' &&
      typeof hostGatewayIP === 'string' &&
      (source === 'keep' || source === 'hide')
    ) {
      return { proto, ip, port, parentIP, hostGatewayIP, source };
    }
  }
  throw new ProtocolError('a connect target of another form came');
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
    if (message.type === 'forget' && message.target instanceof Uint8Array) {
      return { type: 'forget', target: message.target };
    }
    const simple = SIMPLE.find((type) => type === message.type);
    if (simple) return { type: simple };
    if (message.type === 'containers' && typeof message.config === 'object') {
      return { type: 'containers', config: message.config as ContainersConfig };
    }
    if (message.type === 'containers-failed' && typeof message.text === 'string') {
      return { type: 'containers-failed', text: message.text };
    }
    if (message.type === 'request' && typeof message.id === 'number' && typeof message.name === 'string') {
      return { type: 'request', id: message.id, name: message.name, params: message.params };
    }
    if (message.type === 'reply' && typeof message.id === 'number') {
      const { id, result, error } = message;
      return typeof error === 'string' ? { type: 'reply', id, error } : { type: 'reply', id, result };
    }
    throw new ProtocolError(`a message of unknown type ${JSON.stringify(message.type)} came`);
  }
  throw new ProtocolError('a message came that is not a msgpack map');
}

function decode(data: Uint8Array): unknown {
  try {
    return packr.unpack(data);
  } catch {
    throw new ProtocolError(`a torn message of ${data.length} bytes came`);
  }
}
