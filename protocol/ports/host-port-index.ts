/** Mappings by the ports that they use on the host, so that conflicts are found without going through all of them. */
import { type PortMapping, part, protocolName } from './port-mapping.js';
import { type RangeAccess, RangeList } from './range-list.js';

export class HostPortIndex<T extends PortMapping> {
  /** By protocol and address of the host as they were written. */
  readonly #lists = new Map<string, RangeList<T>>();
  readonly #access: RangeAccess<T> = { first: ({ host }) => host.port, part };

  /**
   * What there is of these ports, each in the part that both have, from the lowest on. As with RootlessKit, texts are
   * compared: anything subtler, such as 0.0.0.0 against 127.0.0.1, is found by bind(2).
   */
  overlaps(mapping: PortMapping): T[] {
    // Any free port is another one each time.
    if (mapping.host.port === 0 || this.isEmpty) return [];
    return this.#lists.get(keyOf(mapping))?.within(mapping.host.port, mapping.count) ?? [];
  }

  /** Whether all of these ports are there. */
  covers(mapping: PortMapping): boolean {
    let count = 0;
    for (const one of this.overlaps(mapping)) count += one.count;
    return count === mapping.count;
  }

  /** The parts of a mapping that are not there. */
  missing(mapping: PortMapping): PortMapping[] {
    const gaps: PortMapping[] = [];
    let next = 0;
    const upTo = (offset: number) => {
      if (offset > next) gaps.push(part(mapping, next, offset - next));
    };
    for (const { count, host } of this.overlaps(mapping)) {
      const offset = host.port - mapping.host.port;
      upTo(offset);
      next = offset + count;
    }
    upTo(mapping.count);
    return gaps;
  }

  get isEmpty(): boolean {
    return this.#lists.size === 0;
  }

  /** In place of what there is of these ports. */
  set(mapping: T): void {
    if (mapping.host.port === 0) return;
    const key = keyOf(mapping);
    let list = this.#lists.get(key);
    if (list) {
      list.delete(mapping.host.port, mapping.count);
    } else {
      list = new RangeList(this.#access);
      this.#lists.set(key, list);
    }
    list.add(mapping);
  }

  /** Forgets these ports; what remains of a range stays. Returns what there was of them. */
  delete(mapping: PortMapping): T[] {
    const key = keyOf(mapping);
    const list = this.#lists.get(key);
    const found = list?.delete(mapping.host.port, mapping.count) ?? [];
    if (list?.isEmpty) this.#lists.delete(key);
    return found;
  }

  clear(): void {
    this.#lists.clear();
  }

  *[Symbol.iterator](): Generator<T> {
    for (const list of this.#lists.values()) yield* list;
  }
}

function keyOf(mapping: PortMapping): string {
  return `${protocolName(mapping)} ${mapping.host.ip}`;
}
