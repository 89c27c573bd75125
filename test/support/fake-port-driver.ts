import type { PortDriver } from '../../parent/port/driver.js';
import { PortBindError, PortConflictError, PortError, UnknownPortError } from '../../parent/port/errors.js';
import type { PortDriverInfo } from '../../protocol/api.js';
import { conflictKey } from '../../protocol/port-spec.js';
import type { PortCounters, PortSpec, PortState, PortStatus } from '../../protocol/ports.js';

/** A port driver that keeps books and listens nowhere. */
export class FakePortDriver implements PortDriver {
  readonly info: PortDriverInfo = { driver: 'builtin', protos: ['tcp', 'tcp4', 'tcp6', 'udp', 'udp4', 'udp6'] };
  /** What `report` says of a port; a test sets it. */
  readonly reports = new Map<number, { listener: PortState; counters: PortCounters }>();
  /** Thrown by the next call of anything; a test sets it. */
  failure: Error | undefined;
  #lastId = 0;
  readonly #ports = new Map<number, PortStatus>();

  async add(spec: PortSpec): Promise<PortStatus> {
    this.#fail();
    if (!this.info.protos.includes(spec.proto)) throw new PortError(`unsupported port protocol ${spec.proto}`);
    for (const { id, spec: other } of this.#ports.values()) {
      if (conflictKey(spec) !== undefined && conflictKey(other) === conflictKey(spec)) throw new PortConflictError(id);
    }
    if (spec.parentPort > 0 && spec.parentPort < 1024) {
      throw new PortBindError('EACCES', `cannot expose privileged port ${spec.parentPort}`);
    }
    const id = ++this.#lastId;
    const status = { id, spec: { ...spec, parentPort: spec.parentPort || 40_000 + id } };
    this.#ports.set(id, status);
    return status;
  }

  list(): PortStatus[] {
    this.#fail();
    return [...this.#ports.values()];
  }

  report(id: number): { listener: PortState; counters: PortCounters } | undefined {
    return this.reports.get(id);
  }

  async remove(id: number): Promise<void> {
    this.#fail();
    if (!this.#ports.delete(id)) throw new UnknownPortError(id);
  }

  watchConnections(): void {}

  async close(): Promise<void> {}

  #fail(): void {
    const { failure } = this;
    this.failure = undefined;
    if (failure) throw failure;
  }
}
