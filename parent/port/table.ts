import { conflictKey } from '../../protocol/port-spec.js';
import type { PortSpec, PortStatus } from '../../protocol/ports.js';
import { PortConflictError, UnknownPortError } from './errors.js';

/** The published ports of a stack: ids, and which of them would be in each other's way. */
export class PortTable {
  readonly #ports = new Map<number, PortStatus>();
  #nextId = 1;

  /** Throws PortConflictError. */
  checkConflict(spec: PortSpec): void {
    const key = conflictKey(spec);
    if (key === undefined) return;
    for (const [id, status] of this.#ports) {
      if (conflictKey(status.spec) === key) throw new PortConflictError(id);
    }
  }

  /** An id that was never used before. */
  newId(): number {
    return this.#nextId++;
  }

  add(status: PortStatus): void {
    this.#ports.set(status.id, status);
  }

  /** Throws UnknownPortError. */
  get(id: number): PortStatus {
    const status = this.#ports.get(id);
    if (!status) throw new UnknownPortError(id);
    return status;
  }

  delete(id: number): void {
    this.#ports.delete(id);
  }

  list(): PortStatus[] {
    return [...this.#ports.values()];
  }
}
