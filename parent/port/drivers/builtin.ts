/**
 * The builtin port driver: listeners on the host, sockets from the agent in the child, and the engine in between.
 */

import { native } from '../../../native/index.js';
import type { PortDriverInfo } from '../../../protocol/api/types.js';
import { HostPortIndex } from '../../../protocol/ports/host-port-index.js';
import {
  joined,
  type PortMapping,
  type PublishedPort,
  part,
  protocolName,
  separated,
} from '../../../protocol/ports/port-mapping.js';
import type { PortState, Refusal } from '../../../protocol/ports/status.js';
import { encodeTarget } from '../../../protocol/wire/messages.js';
import type { AgentSupervisor } from '../../agent/agent.js';
import type { ConnectionEvent, EngineHost } from '../../engine/engine-host.js';
import type { AdoptOptions, DriverReport, EventBody, PortDriver } from '../driver.js';
import { DuplicatePortError, PortError, PortListError, UnknownPortError, UnsupportedProtocolError } from '../errors.js';
import { type FamilyRule, type Listeners, openListeners, socketType } from '../listen.js';
import { PortTable } from '../table.js';
import { inboundAddresses, targetOf } from '../target.js';

const PROTOS = ['tcp', 'tcp4', 'tcp6', 'udp', 'udp4', 'udp6'];
const LISTENING: PortState = { state: 'listening' };

/** How ports are opened and relayed. */
export interface RelaySettings extends FamilyRule {
  /** Whether servers see the addresses of clients. */
  keepSource: boolean;
  /**
   * The child's address that connections arrive at, where no other was requested, as with drivers that send packets;
   * servers on loopback are reached all the same.
   */
  arriveAt?: string;
}

export interface BuiltinDeps {
  engine: EngineHost;
  agent: AgentSupervisor;
  emit: (event: EventBody) => void;
  relay: RelaySettings;
}

interface RelayedPort extends PublishedPort {
  /** What the agent is asked for; the same for all ports of a range. */
  request: string;
}

interface ClosingPort extends RelayedPort {
  /** Resolves when it is closed. */
  closed: Promise<void>;
}

/** Ports whose ids follow each other. */
interface Run {
  id: number;
  count: number;
  ports: RelayedPort[];
}

export class BuiltinPortDriver implements PortDriver {
  readonly info: PortDriverInfo;
  readonly #table = new PortTable<RelayedPort>();
  /** Those whose removal is under way, which still use the host's ports. */
  readonly #closing = new PortTable<ClosingPort>();
  /** States of ports that do not listen now. */
  readonly #waiting = new Map<number, PortState>();
  /** How many ports have each request. */
  readonly #users = new Map<string, number>();
  #ending = false;

  constructor(private readonly deps: BuiltinDeps) {
    const { agent, emit, engine } = deps;
    this.info = { driver: 'builtin', protos: PROTOS, ...(engine.threads > 1 && { threads: engine.threads }) };
    agent.onState.push((state, reason) =>
      emit({ type: 'driver-state', driver: 'builtin', state, ...(reason === '' ? {} : { reason }) }),
    );
    engine.portEvents = {
      onPortState: (port, reason) => this.#onPortState(port, reason),
      onConnection: (event) => this.#onConnection(event),
    };
  }

  async add(mapping: PortMapping, id?: number): Promise<PublishedPort> {
    const port = this.#relay(this.#open(mapping), { id });
    await this.#publish([port]);
    return port;
  }

  async addAll(mappings: readonly PortMapping[]): Promise<PublishedPort[]> {
    const opened = this.#openAll(mappings);
    const ports = opened.map((listeners) => this.#relay(listeners));
    await this.#publish(ports);
    return separated(ports, mappings);
  }

  newId(count = 1): number {
    return this.#table.newId(count);
  }

  async adopt(fds: number[], mapping: PortMapping, options?: AdoptOptions): Promise<PublishedPort> {
    const port = this.#relay({ fds, mapping }, options);
    await this.#publish([port]);
    return port;
  }

  list(): PublishedPort[] {
    const ports = [...this.#table.list(), ...this.#closing.list()];
    return this.#closing.isEmpty ? ports : ports.sort((a, b) => a.id - b.id);
  }

  /** The port of that id alone. */
  find(id: number): PublishedPort | undefined {
    return this.#table.find(id) ?? this.#closing.find(id);
  }

  report(id: number): DriverReport | undefined {
    const all = this.deps.engine.counters(id);
    if (!all) return undefined;
    const { sourceKept, sourceHidden, refusedBy, ...counters } = all;
    const source = sourceKept > 0 ? (sourceHidden > 0 ? 'both' : 'client') : sourceHidden > 0 ? 'agent' : undefined;
    const refusals = counters.refused > 0 && { refusals: nonZero(refusedBy) };
    return { listener: this.#waiting.get(id) ?? LISTENING, counters, ...(source && { source }), ...refusals };
  }

  targetOf(id: number): Uint8Array | undefined {
    const request = this.#table.find(id)?.request;
    return request === undefined ? undefined : Buffer.from(request, 'latin1');
  }

  async remove(id: number, count = 1): Promise<void> {
    const closing = this.#closing.within(id, count).map(({ closed }) => closed);
    for (const ports of consecutive(this.#table.delete(id, count))) closing.push(this.#close(ports));
    if (closing.length === 0) throw new UnknownPortError(id);
    await Promise.all(closing);
  }

  watchConnections(wanted: boolean): void {
    this.deps.engine.engine.watchConnections(wanted);
  }

  async close(): Promise<void> {
    this.#ending = true;
    const ports = this.list();
    const [first, last] = [ports[0], ports.at(-1)];
    if (first && last) await this.remove(first.id, last.id + last.count - first.id);
    this.deps.engine.portEvents = undefined;
  }

  /** Throws PortError. */
  #open(mapping: PortMapping): Listeners {
    const protocol = protocolName(mapping);
    if (!PROTOS.includes(protocol)) throw new UnsupportedProtocolError(protocol);
    this.#table.checkConflict(mapping);
    this.#closing.checkConflict(mapping);
    return openListeners(mapping, this.deps.relay);
  }

  /** All or none; those that follow each other as one. Throws PortListError. */
  #openAll(mappings: readonly PortMapping[]): Listeners[] {
    const opened: Listeners[] = [];
    const before = new HostPortIndex<PortMapping>();
    /** Of the ports before the next one. */
    let count = 0;
    try {
      for (const mapping of joined(mappings, { anyFree: false })) {
        for (const both of before.overlaps(mapping)) {
          throw new DuplicatePortError(part(both, 0), both.host.port - mapping.host.port);
        }
        opened.push(this.#open(mapping));
        before.set(mapping);
        count += mapping.count;
      }
      return opened;
    } catch (error) {
      for (const { fds } of opened) for (const fd of fds) native().closeFd(fd);
      if (!(error instanceof PortError)) throw error;
      const index = indexOfPort(mappings, count + error.offset);
      throw new PortListError(error, { index, count: mappings.length, mapping: mappings[index] });
    }
  }

  /** Has the engine serve listeners, which belong to it from then on. */
  #relay({ fds, mapping }: Listeners, { id, container, auto }: AdoptOptions = {}): PublishedPort {
    const source = this.deps.relay.keepSource ? 'keep' : 'hide';
    const wanted = targetOf(this.#arriving(mapping), source, container);
    const target = encodeTarget(wanted);
    const given = { ...(container !== undefined && { container }), ...(auto && { auto }) };
    const port = { id: id ?? this.newId(mapping.count), ...mapping, ...given };
    const request = target.toString('latin1');
    this.#table.add({ ...port, request });
    this.#users.set(request, (this.#users.get(request) ?? 0) + port.count);
    const { engine } = this.deps.engine;
    const inbound = inboundAddresses(wanted);
    engine.addPorts(port.id, socketType(port), fds, port.target.port, target, port.proxyProtocol ?? 0, inbound);
    return port;
  }

  /** Resolves when there is an agent for them. */
  #publish(ports: readonly PublishedPort[]): Promise<void> | void {
    if (this.deps.agent.state !== 'ready') return this.#publishWithAgent(ports);
    for (const port of ports) this.deps.emit({ type: 'port-added', ports: port });
  }

  async #publishWithAgent(ports: readonly PublishedPort[]): Promise<void> {
    const { agent, emit } = this.deps;
    try {
      await agent.start();
    } catch (error) {
      for (const { id, count } of ports) await this.remove(id, count);
      throw error;
    }
    for (const port of ports) emit({ type: 'port-added', ports: port });
  }

  /** All of a run of ids, in one call of the engine. */
  #close({ id, count, ports }: Run): Promise<void> {
    const closed = this.deps.engine.removePorts(id, count).then(() => {
      this.#closing.delete(id, count);
      for (const waiting of this.#waiting.keys()) {
        if (waiting >= id && waiting < id + count) this.#waiting.delete(waiting);
      }
      for (const { request, ...port } of ports) {
        this.#forget(request, port.count);
        this.deps.emit({ type: 'port-removed', ports: port });
      }
    });
    for (const port of ports) this.#closing.add({ ...port, closed });
    return closed;
  }

  /** By the dial rule what is published on an address that the child has, too, is led there. */
  #arriving(mapping: PortMapping): PortMapping {
    const { arriveAt } = this.deps.relay;
    return arriveAt === undefined ? mapping : { ...mapping, host: { ...mapping.host, ip: arriveAt } };
  }

  /** So many ports with that request are gone. */
  #forget(request: string, count: number): void {
    const left = (this.#users.get(request) ?? count) - count;
    this.#users.set(request, left);
    if (left > 0) return;
    this.#users.delete(request);
    // The agent ends next, and what it knows with it.
    if (this.#ending) return;
    const target = Buffer.from(request, 'latin1');
    this.deps.engine.engine.forgetPlan(target);
    this.deps.agent.send({ type: 'forget', target });
  }

  #onPortState(id: number, reason: string): void {
    const listener: PortState = reason === '' ? LISTENING : { state: 'waiting', reason };
    if (listener === LISTENING) {
      this.#waiting.delete(id);
    } else {
      this.#waiting.set(id, listener);
    }
    this.deps.emit({ type: 'port-state', id, listener });
  }

  #protocolOf(port: number): 'tcp' | 'udp' {
    return this.find(port)?.transport === 'udp' ? 'udp' : 'tcp';
  }

  #onConnection({ type, port, connection, client, reason, bytesIn, bytesOut }: ConnectionEvent): void {
    switch (type) {
      case 'connection-opened':
        this.deps.emit({ type, port, protocol: this.#protocolOf(port), connection, client });
        break;
      case 'connection-refused':
        this.deps.emit({ type, port, connection, client, reason });
        break;
      case 'connection-closed':
        this.deps.emit({ type, port, connection, bytesIn, bytesOut });
    }
  }
}

/** Which of the mappings has port number `number` of all their ports. */
function indexOfPort(mappings: readonly PortMapping[], number: number): number {
  let end = 0;
  return mappings.findIndex(({ count }) => {
    end += count;
    return number < end;
  });
}

function nonZero(counts: Record<Refusal, number>): Partial<Record<Refusal, number>> {
  return Object.fromEntries(Object.entries(counts).filter(([, count]) => count > 0));
}

/** @param ports by their ids */
function consecutive(ports: readonly RelayedPort[]): Run[] {
  const runs: Run[] = [];
  for (const port of ports) {
    const last = runs.at(-1);
    if (last && last.id + last.count === port.id) {
      last.count += port.count;
      last.ports.push(port);
    } else runs.push({ id: port.id, count: port.count, ports: [port] });
  }
  return runs;
}
