import type { PortDriver } from '../../../parent/port/driver.js';
import {
  DuplicatePortError,
  PortBindError,
  PortError,
  PortListError,
  UnknownPortError,
} from '../../../parent/port/errors.js';
import { PortTable } from '../../../parent/port/table.js';
import type { PortDriverInfo } from '../../../protocol/api/types.js';
import { HostPortIndex } from '../../../protocol/ports/host-port-index.js';
import { type PortMapping, type PublishedPort, protocolName } from '../../../protocol/ports/port-mapping.js';
import type { PortCounters, PortState } from '../../../protocol/ports/status.js';

/** A port driver that keeps books and listens nowhere. */
export class FakePortDriver implements PortDriver {
  readonly info: PortDriverInfo = { driver: 'builtin', protos: ['tcp', 'tcp4', 'tcp6', 'udp', 'udp4', 'udp6'] };
  /** What `report` returns for a port; a test sets it. */
  readonly reports = new Map<number, { listener: PortState; counters: PortCounters }>();
  /** Thrown by the next call of anything; a test sets it. */
  failure: Error | undefined;
  readonly #table = new PortTable();

  async add(mapping: PortMapping, asked?: number): Promise<PublishedPort> {
    this.#fail();
    this.#check(mapping);
    const { host } = mapping;
    const id = asked ?? this.newId(mapping.count);
    const port = { id, ...mapping, host: { ...host, port: host.port || 40_000 + id } };
    this.#table.add(port);
    return port;
  }

  async addAll(mappings: readonly PortMapping[]): Promise<PublishedPort[]> {
    this.#fail();
    const before = new HostPortIndex<PortMapping>();
    for (const [index, mapping] of mappings.entries()) {
      try {
        this.#check(mapping);
        if (before.overlaps(mapping).length > 0) throw new DuplicatePortError(mapping, 0);
        before.set(mapping);
      } catch (error) {
        throw error instanceof PortError ? new PortListError(error, { index, count: mappings.length, mapping }) : error;
      }
    }
    return Promise.all(mappings.map((mapping) => this.add(mapping)));
  }

  newId(count = 1): number {
    return this.#table.newId(count);
  }

  list(): PublishedPort[] {
    this.#fail();
    return this.#table.list();
  }

  report(id: number): { listener: PortState; counters: PortCounters } | undefined {
    return this.reports.get(id);
  }

  async remove(id: number, count = 1): Promise<void> {
    this.#fail();
    if (this.#table.delete(id, count).length === 0) throw new UnknownPortError(id);
  }

  watchConnections(): void {}

  async close(): Promise<void> {}

  #check(mapping: PortMapping): void {
    const protocol = protocolName(mapping);
    if (!this.info.protos.includes(protocol)) throw new PortError(`unsupported port protocol ${protocol}`);
    this.#table.checkConflict(mapping);
    const { port } = mapping.host;
    if (port > 0 && port < 1024) throw new PortBindError('EACCES', `cannot expose privileged port ${port}`);
  }

  #fail(): void {
    const { failure } = this;
    this.failure = undefined;
    if (failure) throw failure;
  }
}
