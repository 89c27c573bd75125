/**
 * The builtin port driver: listeners on the host, sockets from the agent in the child, and the engine in between.
 */
import type { PortDriverInfo } from '../../protocol/api.js';
import { encodeTarget } from '../../protocol/messages.js';
import type { PortSpec, PortState, PortStatus } from '../../protocol/ports.js';
import type { AgentSupervisor } from '../agent.js';
import type { Channels, ConnectionEvent } from '../channels.js';
import type { DriverReport, EventBody, PortDriver } from './driver.js';
import { UnsupportedProtocolError } from './errors.js';
import { baseProtocol, bindListener } from './listen.js';
import { PortTable } from './table.js';
import { targetOf } from './target.js';

const PROTOS = ['tcp', 'tcp4', 'tcp6', 'udp', 'udp4', 'udp6'];
const LISTENING: PortState = { state: 'listening' };

export class BuiltinPortDriver implements PortDriver {
  readonly info: PortDriverInfo = { driver: 'builtin', protos: PROTOS };
  readonly #table = new PortTable();
  readonly #waiting = new Map<number, PortState>();
  readonly #removing = new Map<number, Promise<void>>();
  /** What each port asks the agent for … */
  readonly #targets = new Map<number, string>();
  /** … and how many ask for the same. */
  readonly #users = new Map<string, number>();
  #closing = false;

  constructor(
    private readonly channels: Channels,
    private readonly agent: AgentSupervisor,
    private readonly emit: (event: EventBody) => void,
    /** Whether servers see the addresses of clients. */
    private readonly keepSource: boolean,
  ) {
    agent.onState.push((state, reason) =>
      emit({ type: 'driver-state', driver: 'builtin', state, ...(reason === '' ? {} : { reason }) }),
    );
    channels.portEvents = {
      onPortState: (port, reason) => this.#onPortState(port, reason),
      onConnection: (event) => this.#onConnection(event),
    };
  }

  async add(spec: PortSpec): Promise<PortStatus> {
    if (!PROTOS.includes(spec.proto)) throw new UnsupportedProtocolError(spec.proto);
    this.#table.checkConflict(spec);
    const { fd, port } = bindListener(spec);
    return this.adopt(fd, { ...spec, parentPort: port });
  }

  async adopt(fd: number, spec: PortSpec): Promise<PortStatus> {
    const target = encodeTarget(targetOf(spec, this.keepSource ? 'keep' : 'hide'));
    const status: PortStatus = { id: this.#table.newId(), spec };
    this.#table.add(status);
    this.#useTarget(status.id, target.toString('latin1'));
    this.channels.engine.addPort(
      status.id,
      baseProtocol(spec.proto),
      [fd],
      spec.childPort,
      target,
      spec.proxyProtocol ?? 0,
    );
    try {
      await this.agent.start();
    } catch (error) {
      await this.remove(status.id);
      throw error;
    }
    this.emit({ type: 'port-added', ...status });
    return status;
  }

  list(): PortStatus[] {
    return this.#table.list();
  }

  status(id: number): PortStatus | undefined {
    return this.#table.find(id);
  }

  report(id: number): DriverReport | undefined {
    const all = this.channels.counters(id);
    if (!all) return undefined;
    const { sourceKept, sourceHidden, ...counters } = all;
    const source = sourceKept > 0 ? (sourceHidden > 0 ? 'both' : 'client') : sourceHidden > 0 ? 'agent' : undefined;
    return { listener: this.#waiting.get(id) ?? LISTENING, counters, ...(source && { source }) };
  }

  async remove(id: number): Promise<void> {
    const { spec } = this.#table.get(id);
    const under = this.#removing.get(id);
    if (under) return under;
    const removal = this.channels.removePort(id).then(() => {
      this.#table.delete(id);
      this.#waiting.delete(id);
      this.#removing.delete(id);
      this.#forgetTarget(id);
      this.emit({ type: 'port-removed', id, spec });
    });
    this.#removing.set(id, removal);
    return removal;
  }

  watchConnections(wanted: boolean): void {
    this.channels.engine.watchConnections(wanted);
  }

  async close(): Promise<void> {
    this.#closing = true;
    await Promise.all(this.list().map(({ id }) => this.remove(id)));
    this.channels.portEvents = undefined;
  }

  #useTarget(id: number, target: string): void {
    this.#targets.set(id, target);
    this.#users.set(target, (this.#users.get(target) ?? 0) + 1);
  }

  #forgetTarget(id: number): void {
    const target = this.#targets.get(id);
    if (target === undefined) return;
    this.#targets.delete(id);
    const left = (this.#users.get(target) ?? 1) - 1;
    this.#users.set(target, left);
    if (left > 0) return;
    this.#users.delete(target);
    // It ends next, and what it knows with it.
    if (this.#closing) return;
    this.agent.send({ type: 'forget', target: Buffer.from(target, 'latin1') });
  }

  #onPortState(id: number, reason: string): void {
    const listener: PortState = reason === '' ? LISTENING : { state: 'waiting', reason };
    if (listener === LISTENING) {
      this.#waiting.delete(id);
    } else {
      this.#waiting.set(id, listener);
    }
    this.emit({ type: 'port-state', id, listener });
  }

  #onConnection({ type, port, connection, client, reason, bytesIn, bytesOut }: ConnectionEvent): void {
    switch (type) {
      case 'connection-opened':
        this.emit({ type, port, connection, client });
        break;
      case 'connection-refused':
        this.emit({ type, port, connection, client, reason });
        break;
      case 'connection-closed':
        this.emit({ type, port, connection, bytesIn, bytesOut });
    }
  }
}
