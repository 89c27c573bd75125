import { HostPortIndex } from '../../protocol/ports/host-port-index.js';
import { type PortMapping, type PublishedPort, part } from '../../protocol/ports/port-mapping.js';
import { RangeList } from '../../protocol/ports/range-list.js';
import { PortConflictError } from './errors.js';

/** The published ports of a stack: ids, and which of them would conflict. Ranges stay ranges. */
export class PortTable<T extends PublishedPort = PublishedPort> {
  readonly #byId = new RangeList<T>({ first: ({ id }) => id, part });
  readonly #byHost = new HostPortIndex<T>();
  #nextId = 1;

  /** Throws PortConflictError. */
  checkConflict(mapping: PortMapping): void {
    for (const port of this.#byHost.overlaps(mapping)) {
      throw new PortConflictError(port.id, part(port, 0), port.host.port - mapping.host.port);
    }
  }

  /** The first of so many ids that were never used before. */
  newId(count = 1): number {
    const id = this.#nextId;
    this.#nextId += count;
    return id;
  }

  add(port: T): void {
    this.#byId.add(port);
    this.#byHost.set(port);
  }

  /** The port of that id alone. */
  find(id: number): T | undefined {
    for (const port of this.#byId.within(id)) return port;
    return undefined;
  }

  /** What there is of these ids. */
  within(id: number, count: number): T[] {
    return this.#byId.within(id, count);
  }

  /** Returns what there was of these ids; what remains of a range stays. */
  delete(id: number, count: number): T[] {
    const found = this.#byId.delete(id, count);
    for (const port of found) this.#byHost.delete(port);
    return found;
  }

  get isEmpty(): boolean {
    return this.#byId.isEmpty;
  }

  /** By their ids. */
  list(): T[] {
    return [...this.#byId];
  }
}
