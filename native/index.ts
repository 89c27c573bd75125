/**
 * Typed interface of the native part (src/): the engine, and the few system calls that Node lacks.
 * Both sides load the same binary; the parent forwards ports with it, the agent makes sockets with it.
 */
import { ExpectedError } from '../protocol/errors/expected-error.js';
import type { Refusal } from '../protocol/ports/status.js';
import { ADDON, installationHint, nativeFile } from './location.js';

/** Path of the program that makes the namespaces, see src/launcher/main.c. */
export const LAUNCHER = nativeFile('launcher');

/** Path of the program that supervises one container, see src/monitor/. */
export const CONTAINER_MONITOR = nativeFile('container_monitor');

/** Path of the program that is a container's first process with --init, see src/container/container_init.c. */
export const CONTAINER_INIT = nativeFile('container_init');

/** Path of the program that sets the limit of open files for further programs, see src/container/container_exec.c. */
export const CONTAINER_EXEC = nativeFile('container_exec');

/** Path of the program that OCI runtimes run as a hook, see src/container/oci_hook.c. */
export const OCI_HOOK = nativeFile('oci_hook');

export type EngineEvent =
  | { type: 'message'; channel: number; data: Buffer; fds: number[] }
  | { type: 'channel-closed'; channel: number; reason: string }
  | { type: 'plan-wanted'; target: Buffer }
  | { type: 'client-wanted'; target: Buffer; ip: string }
  | { type: 'port-closed'; port: number }
  | { type: 'bypass-ended'; port: number }
  | { type: 'port-state'; port: number; reason: string }
  | { type: 'addresses-changed' }
  | { type: 'outbound-opened' | 'outbound-closed'; flow: OutboundFlow }
  | EgressDenial
  /** Of askName(). `from` is the place of Origin in src/dns/server/query_reports.h. */
  | { type: 'dns-answer'; id: number; data: Buffer; from: number }
  /** While watchQueries() is on. */
  | DnsQuery
  | { type: 'log'; text: string }
  | {
      type: 'connection-opened' | 'connection-refused' | 'connection-closed';
      port: number;
      /** Counts from 1, over all ports. */
      connection: number;
      /** `address:port`. */
      client: string;
      reason: string;
      bytesIn: number;
      bytesOut: number;
    };

/** A query that a DNS server has answered. */
export interface DnsQuery {
  type: 'dns-query';
  /** 0 for that of the stack's own network. */
  network: number;
  /** Its address. */
  client: string;
  /** "" where the query is malformed. */
  name: string;
  /** Number of the type that was asked for. */
  record: number;
  /** Place of Origin in src/dns/server/query_reports.h. */
  from: number;
  ms: number;
  /** How many before it were not reported: there are 200 a second at most. */
  missed: number;
}

/** What a policy has denied. */
export interface EgressDenial {
  type: 'egress-denied';
  /** That of IP, 0 for a name that was asked for. */
  protocol: number;
  /** The policy that denies it: 0 is the stack's, and from 1 on those of the source. */
  policy: number;
  /** Counts from 0; -1 is the default. */
  rule: number;
  client: string;
  destination: string;
  reason: string;
}

/** What a connection or flow is doing; see src/engine/context.h. */
export type FlowState = 'connecting' | 'open' | 'half-closed' | 'unanswered';

/** A connection or flow of a published port; see src/engine/port.h. */
export interface PortFlow {
  port: number;
  protocol: 'tcp' | 'udp';
  connection: number;
  /** `address:port`. */
  client: string;
  /** From the client, and to it. */
  bytesIn: number;
  bytesOut: number;
  /** In milliseconds. */
  age: number;
  state: FlowState;
  /** Whose address the server sees; "" where it is not known, or the client is on loopback. */
  source: 'client' | 'agent' | '';
}

export interface EngineCounters {
  open: number;
  opened: number;
  refused: number;
  bytesIn: number;
  bytesOut: number;
  /** Connections of clients that are not on loopback, by whether the server saw the client's address. */
  sourceKept: number;
  sourceHidden: number;
  /** Of `refused`. */
  refusedBy: Record<Refusal, number>;
}

/** Of one rule of a policy. */
export interface EgressCounters {
  /** Connections, flows and echo requests. */
  allowed: number;
  denied: number;
  /** Queries for names. */
  names: number;
}

/** See src/policy/learner.h. */
export interface LearnedRules {
  rules: LearnedRule[];
  /** Whether there were more than can be recorded. */
  full: boolean;
}

export interface LearnedRule {
  /** `dns` for a name that was asked for. */
  protocol: 'tcp' | 'udp' | 'icmp' | 'dns';
  place: 'name' | 'address' | 'host';
  /** The name, or the address. */
  text: string;
  /** 0 for icmp and dns. */
  port: number;
}

/** A connection or flow out of the namespace; addresses as `address:port`. See src/outbound/flow.h. */
export interface OutboundFlow {
  /** Counts from 1, over all connections of the engine; 0 where it is not counted. */
  connection: number;
  protocol: 'tcp' | 'udp';
  /** The program's address inside, and the one that it connected to. */
  client: string;
  destination: string;
  /** Where that led to on the host. */
  host: string;
  /** Of the destination; '' where it is unknown. */
  name: string;
  bytesSent: number;
  bytesReceived: number;
  /** In milliseconds. */
  age: number;
  state: FlowState;
}

/** See src/outbound/gateway.h. Addresses are '' for a family that there is no network of. */
export interface GatewayOptions {
  /** Index of the gateway's device, in its namespace. */
  index: number;
  /** Name of the child's device. */
  device: string;
  /** Of both devices, `52:55:0a:00:02:02`. */
  childMac: string;
  gatewayMac: string;
  child4: string;
  gateway4: string;
  dns4: string;
  /** Prefix length. */
  prefix4: number;
  child6: string;
  gateway6: string;
  dns6: string;
  prefix6: number;
  /** Whether the gateway's addresses lead to the host's loopback: 1, or 0. */
  hostLoopback: 0 | 1;
  /** Lines such as `tcp 5432 127.0.0.1 5432`: ports of the gateway that lead to the host; protocol, port, address, port. */
  hostPorts: string;
}

/** Threads with an epoll loop each; see src/engine/engine.h. Descriptors that are passed in belong to it from then on. */
export interface Engine {
  /** Packets of a SOCK_SEQPACKET socket become `message` events with this channel number. */
  openChannel(channel: number, fd: number): void;
  closeChannel(channel: number): void;
  /** Descriptors are passed with the packet, and closed here afterwards. */
  send(channel: number, data: Uint8Array, fds?: number[]): void;
  /** Parent: the channel to the agent; 0 while there is none, and then connections wait. */
  setAgent(channel: number): void;
  /** Parent: resets all connections that wait for the agent. */
  failWaiting(reason: string): void;
  /**
   * Parent: forwards what arrives at listeners, each a port of its own: with ids from `firstId` on, to ports of the child
   * from `firstChildPort` on. `target` is what encodeTarget() in protocol/wire/messages.ts makes. `inbound` are the addresses
   * that connections in the gateway namespace stand for, none where the agent has to make them; see
   * src/inbound/inbound_dials.h.
   */
  addPorts(
    firstId: number,
    type: 'tcp' | 'udp',
    listeners: number[],
    firstChildPort: number,
    target: Uint8Array,
    proxyProtocol: 0 | 1 | 2,
    inbound?: readonly string[],
  ): void;
  /** Parent: `port-closed` with the first id follows when the listeners and connections of all of them are closed. */
  removePorts(firstId: number, count: number): void;
  counters(id: number): EngineCounters | undefined;
  watchConnections(wanted: boolean): void;
  /**
   * Parent: denies the engine's threads access to files, where the kernel has Landlock. See src/sandbox/confine.h.
   */
  confine(): void;
  /**
   * From now on `addresses-changed` is reported once, and after each change of this namespace's addresses; with `routes`
   * also after changes of routes and rules. Where that cannot be done `complaint` is logged, unless it is empty.
   */
  watchAddresses(routes: boolean, complaint: string): void;
  /**
   * Parent: the network of the driver builtin, once. `fds` are the sockets that the launcher has made in the gateway's
   * namespace: packets in, packets out, TCP and UDP of IPv4, and where there is IPv6, TCP and UDP of IPv6. `orders` is the
   * channel by which more are ordered (src/inbound/socket_orders.h), or empty.
   */
  openGateway(fds: readonly number[], options: GatewayOptions, orders: readonly number[]): void;
  /** Parent: ends the network, and all connections through it. */
  closeGateway(): void;
  /**
   * Parent: the limit with that number, in bytes a second, out of the namespace and into it; 0 for no limit. Number 0 is that of
   * the whole stack: all connections through the network of the driver builtin and through published ports. See src/limit/.
   */
  setLimit(number: number, limit: { outgoing: number; incoming: number }): void;
  /** Parent: puts `count` ports from `first` on under the limit with that number. */
  limitPorts(first: number, count: number, number: number): void;
  /** Parent: puts what a source (see setSource()) begins from now on under the limit with that number. */
  limitSource(id: number, number: number): void;
  /** Parent: datagrams that that limit has cost. */
  datagramsDropped(number: number): { outgoing: number; incoming: number };
  /** Parent: connections and flows through it, up to that many. */
  outboundFlows(most: number): OutboundFlow[];
  /** Parent: open connections and flows of published ports, up to that many. */
  portFlows(most: number): PortFlow[];
  /**
   * Parent: where names are resolved on the host, in this order; IPv6 addresses may have a zone. `search` is its search list,
   * which programs complete names by. After openGateway() if there is a gateway; without one only queries of containers go
   * there, by way of the agent.
   */
  setResolvers(addresses: readonly string[], search: readonly string[]): void;
  /**
   * Parent: what may be reached through it, as protocol/egress/encode.ts writes it; an empty policy allows everything.
   * `hostAddresses` are the host's own. Open connections continue. Returns false for bytes that are not a policy.
   */
  setEgress(policy: Uint8Array, hostAddresses: readonly string[]): boolean;
  /**
   * Parent: without a policy; from now on the rules that would be needed are recorded. Called again where the host's addresses
   * have changed. Returns false where there is no such network.
   */
  learnEgress(hostAddresses: readonly string[]): boolean;
  /** Parent: what was recorded; no rules where there are `known` still. */
  learnedRules(known: number): LearnedRules;
  /** Parent: of the default, and of each rule in their order. */
  egressCounters(): EgressCounters[];
  /**
   * Parent: what may be reached from these addresses inside, which are a container's: whatever the stack's policy and each of
   * these allow; an empty one allows everything. See src/policy/sources.h. Returns false if one of them is invalid or exceeds a limit.
   */
  setSource(id: number, addresses: readonly string[], policies: readonly Uint8Array[]): boolean;
  /** Parent: the stack's policy alone decides about them again. */
  removeSource(id: number): void;
  /** Parent: the host's own addresses, for the policies of sources. */
  setSourceHost(addresses: readonly string[]): void;
  /** Parent: of one of its policies, which count from 0, as egressCounters(). */
  sourceCounters(id: number, policy: number): EgressCounters[];
  /**
   * Parent: gives programs below process `root` sockets of the host for published ports; see src/bypass/bypass.h. `fd` is
   * the socket that the command's process sends its hello on.
   */
  startBypass(fd: number, root: number, hostLoopback: boolean, outbound: boolean): void;
  /** Parent: that ports may be bypassed, and where they lead in the child. */
  bypassPorts(firstId: number, count: number, type: 'tcp' | 'udp', ips: string[], firstChildPort: number): void;
  /** Parent: ends what programs have of a port; `bypass-ended` follows. Before removePorts(). */
  endBypass(id: number): void;
  /**
   * Parent: the listener of a port, which is no longer relayed, for the command to start with; -1 if there is none.
   */
  activatePort(id: number): number;
  /**
   * Parent: whether a program has the port now; else the reason, "" if none has requested it. `unguarded`, of all
   * ports: the kernel has no Landlock for TCP, so a program may connect sockets of the host by itself.
   */
  bypassState(id: number): { bypassed: boolean; reason: string; unguarded: boolean };
  /** Child: the channel to the parent; before it is opened, since requests may come at once. */
  serveConnects(channel: number): void;
  /**
   * Child: where requests for `target` go, in this order, except that the client's family comes first. With `keepSource`
   * servers see the addresses of clients that are not on loopback, if setClient() has allowed it: each new one is requested
   * by `client-wanted`. With `netns`, the path of a network namespace, sockets are made in that one. Throws an error with a
   * code (such as ENOENT) where that cannot be opened.
   */
  setPlan(target: Uint8Array, ips: string[], keepSource: boolean, netns?: string): void;
  /** `mark` is that of the packets to servers in this namespace (SO_MARK); 0 where they are elsewhere. */
  setClient(target: Uint8Array, ip: string, keep: boolean, mark: number): void;
  /** Child: takes over the return paths that an agent before this one has left (src/return_path/return_paths.h). */
  takeOverPaths(mark: number): void;
  /**
   * Child: drops everything set by setPlan() and setClient(); it is requested again. When this returns, the parent connects
   * nothing any more by what it was sent before.
   */
  forgetPlans(): void;
  /** Both sides: no port has that target any longer. */
  forgetPlan(target: Uint8Array): void;
  /**
   * Child: serves DNS at that port of the gateway addresses of a network (src/dns/server/servers.h), with names as setZone() has them; from
   * nameServersSettled() on. Returns "", or what prevents it: then the network is not served.
   */
  openNameServer(network: number, gateways: string[], port: number, zone: string): string;
  /**
   * Parent: answers names at sockets of the host, which it takes over: one for datagrams, and a listening one. They are served
   * until closeNameServer().
   */
  adoptNameServer(network: number, datagrams: number, connections: number, zone: string): void;
  /** Parent: names that the DNS server of the network driver builtin answers itself; see src/dns/server/zone.h for the text. */
  setOwnNames(text: string): void;
  /** Whether a `dns-query` follows each query that a DNS server here has answered. */
  watchQueries(wanted: boolean): void;
  closeNameServer(network: number): void;
  /** Child: all networks of an agent before are open, and their names and clients known. */
  nameServersSettled(): void;
  /** Replaces the names of a network; see src/dns/server/zone.h for the text. */
  setZone(network: number, text: string): void;
  /**
   * Child: what may be asked from that address: names of these networks, and others with `outside`; of `servers`, if there are
   * any, from the network namespace at the path `netns`. Throws an error with a code where that cannot be opened.
   */
  setNameClient(address: string, networks: number[], outside: boolean, servers: string[], netns: string): void;
  removeNameClient(address: string): void;
  /** Queries of a network by who has answered, in the order of Origin in src/dns/server/query_reports.h. */
  nameCounters(network: number): number[];
  /** Child: has a network's server answer as if that client had asked; a `dns-answer` with that id follows. */
  askName(id: number, network: number, query: Uint8Array, client: string): void;
  close(): void;
}

/** In milliseconds; see Timeouts in src/engine/context.h for the defaults. */
export interface EngineTimeouts {
  halfClosedCheck?: number;
  halfClosedProbe?: number;
  halfClosedIdle?: number;
  udpAnswered?: number;
  udpUnanswered?: number;
  udpStream?: number;
}

/** Timeouts are for tests. */
export interface EngineOptions extends EngineTimeouts {
  /** At least 1, which is the default. */
  threads?: number;
  /** 1 where the ports are those of the port driver bypass: see EngineOptions in src/engine/port_thread.h. */
  oneHome?: 0 | 1;
}

interface Binding {
  Engine: new (congestion: string, onEvents: (events: EngineEvent[]) => void, options?: EngineOptions) => Engine;
  socketpair(): [number, number];
  /** A descriptor of a copy of that program in memory that cannot be changed; see src/system/sealed_copy.h. */
  sealedCopy(path: string): number;
  /** The read end and the write end; programs that are started do not inherit them. */
  pipe(): [number, number];
  listen(ip: string, port: number, type: 'tcp' | 'udp', dual: boolean): { fd: number; port: number };
  /** Listeners on `count` ports from `firstPort` on: all or none. The error then has the `port` that failed. */
  listenRange(ip: string, firstPort: number, count: number, type: 'tcp' | 'udp', dual: boolean): number[];
  closeFd(fd: number): void;
  /** Another descriptor of the same file, which programs that are started do not inherit. */
  duplicateFd(fd: number): number;
  /** A UNIX stream socket that listens at that path, made with that mode whatever the umask is. */
  listenOnPath(path: string, mode: number): number;
  /** Closes a descriptor from the untrusted side on another thread: its close may have been made slow on purpose. */
  discardFd(fd: number): void;
  /** Of the process that has connected a Unix socket; 0 where it is not visible from here (unix(7), SO_PEERCRED). */
  peerPid(fd: number): number;
  /** Whether that process has ended; false where the kernel cannot tell (before Linux 6.5). */
  peerHasEnded(fd: number): boolean;
  /** To a UNIX socket; a path that begins with `@` is an abstract name. */
  sendDatagram(path: string, text: string): void;
  /**
   * Describes an inherited TCP listener or bound UDP socket; programs that are started do not inherit it any more. Throws
   * an error with the code ENOTSUP where it is neither.
   */
  takeSocket(fd: number): { type: 'tcp' | 'udp'; ip: string; port: number; dual: boolean };
  flock(fd: number, exclusive: boolean): boolean;
  /** A pseudoterminal: the end that is read here, which does not block, and the program's. See pty(7). */
  openPty(): [fd: number, program: number];
  /** Sets the size of the terminal behind a descriptor of openPty(). */
  setPtySize(fd: number, columns: number, rows: number): void;
  /** Sets the size of the terminal at that path; see TIOCSWINSZ in ioctl_tty(2). */
  setTerminalSize(path: string, columns: number, rows: number): void;
  becomeSubreaper(): void;
  /** No new privileges and fewer system calls for this process, for good; see src/sandbox/confine.h. Throws a system error. */
  confineProcess(): void;
  /**
   * Sends a signal to the process of that pid that began at that time; see startTimeOf(). Throws an error with the code
   * ESRCH where that one has ended.
   */
  signalProcess(pid: number, startTime: string, signal: number): void;
  /** Calls the listener for each signal of that number, from now on; see src/binding/exports.h. */
  onSignal(number: number, listener: (number: number) => void): void;
  ignoreSignal(number: number): void;
  /** Programs that are started do not inherit the descriptor any more. */
  closeOnExec(fd: number): void;
  /**
   * Status, as wait(2) has it, of a child that Node has not started itself; undefined while it runs. Throws an error with
   * the code ECHILD if there is no such child.
   */
  reapChild(pid: number): number | undefined;
  /**
   * Sets the command line of this process that ps(1) shows: words that end with a NUL each. Throws where the kernel cannot
   * (EINVAL, without CONFIG_CHECKPOINT_RESTORE).
   */
  setCommandLine(words: Uint8Array): void;
  addLoopbackAddress(ip: string): void;
  /** A netlink socket in the network namespace at that path; in this process's own where the path is "". */
  openNetlink(protocol: number, netns: string): number;
  /** Sends messages; returns the answers up to that many acknowledgements or ends of dumps; see src/netlink/netlink.h. */
  netlinkExchange(fd: number, messages: Uint8Array, acknowledgements: number): Buffer;
  /** The same on another thread; the socket must be open, and not be used, until the promise is settled. */
  netlinkExchangeAsync(fd: number, messages: Uint8Array, acknowledgements: number): Promise<Buffer>;
  /**
   * Connects to a TCP server, and closes the connection; from the network namespace at the path `netns`, from this one where that
   * is "". Rejects with a system error; ETIMEDOUT after so many ms.
   */
  tryConnect(ip: string, port: number, netns: string, ms: number): Promise<void>;
}

export { installationHint } from './location.js';

/** The native part is missing, or cannot be loaded. */
export class NativeMissingError extends ExpectedError {
  override name = 'NativeMissingError';
  override readonly code: string = 'not-built';
}

function load(): Binding {
  const path = nativeFile(ADDON);
  try {
    const module = { exports: {} };
    process.dlopen(module, path);
    return module.exports as Binding;
  } catch (error) {
    const why = error instanceof Error ? error.message.split('\n')[0] : String(error);
    throw new NativeMissingError(`the native part is not built (${path}: ${why})`, { hint: installationHint() });
  }
}

let binding: Binding | undefined;

/** Loaded at its first use, so that `--help` and rootlessctl work without it. Throws NativeMissingError. */
export function native(): Binding {
  binding ??= load();
  return binding;
}
