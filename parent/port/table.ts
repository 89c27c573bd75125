import { conflictKey } from '../../protocol/port-spec.js';
import type { PortSpec, PortStatus } from '../../protocol/ports.js';
import { PortConflictError, UnknownPortError } from './errors.js';

/** The published ports of a stack: ids, and which of them would be in each other's way. */
export class PortTable {
  readonly #ports = new Map<number, PortStatus>();
  /** Ids by conflict key; looking through all ports for each one would take long for thousands. */
  readonly #keys = new Map<string, number>();
  #nextId = 1;

  /** Throws PortConflictError. */
  checkConflict(spec: PortSpec): void {
    const key = conflictKey(spec);
    const id = key === undefined ? undefined : this.#keys.get(key);
    if (id !== undefined) throw new PortConflictError(id);
  }

  /** An id that was never used before. */
  newId(): number {
    return this.#nextId++;
  }

  add(status: PortStatus): void {
    this.#ports.set(status.id, status);
    const key = conflictKey(status.spec);
    if (key !== undefined) this.#keys.set(key, status.id);
  }

  find(id: number): PortStatus | undefined {
    return this.#ports.get(id);
  }

  /** Throws UnknownPortError. */
  get(id: number): PortStatus {
    const status = this.#ports.get(id);
    if (!status) throw new UnknownPortError(id);
    return status;
  }

  delete(id: number): void {
    const status = this.#ports.get(id);
    this.#ports.delete(id);
    const key = status && conflictKey(status.spec);
    if (key !== undefined && this.#keys.get(key) === id) this.#keys.delete(key);
  }

  list(): PortStatus[] {
    return [...this.#ports.values()];
  }
}
