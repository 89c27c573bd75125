/** Ranges of numbers, sorted and without overlaps; each number of a range stands for one part of it. */

export interface RangeAccess<T> {
  first(range: T): number;
  /** `count` of its numbers, from number `offset` on. */
  part(range: T, offset: number, count: number): T;
}

export class RangeList<T extends { count: number }> {
  readonly #ranges: T[] = [];

  constructor(private readonly access: RangeAccess<T>) {}

  get isEmpty(): boolean {
    return this.#ranges.length === 0;
  }

  /** What there is of these numbers, from the lowest on: of each range the part that is among them. */
  within(first: number, count = 1): T[] {
    const { access } = this;
    const end = first + count;
    const found: T[] = [];
    for (let at = this.#indexOf(first); at < this.#ranges.length; at++) {
      const range = this.#ranges[at];
      if (range === undefined || access.first(range) >= end) break;
      const start = Math.max(access.first(range), first);
      const length = Math.min(this.#end(range), end) - start;
      found.push(length === range.count ? range : access.part(range, start - access.first(range), length));
    }
    return found;
  }

  /** The numbers of the range must not be there. */
  add(range: T): void {
    this.#ranges.splice(this.#indexOf(this.access.first(range)), 0, range);
  }

  /** What remains of a range stays. Returns what there was of these numbers. */
  delete(first: number, count = 1): T[] {
    const found = this.within(first, count);
    if (found.length === 0) return found;
    const start = this.#indexOf(first);
    const rest = this.#ranges.slice(start, start + found.length).flatMap((range) => this.#without(range, first, count));
    this.#ranges.splice(start, found.length, ...rest);
    return found;
  }

  [Symbol.iterator](): Iterator<T> {
    return this.#ranges[Symbol.iterator]();
  }

  /** The number after the last one. */
  #end(range: T): number {
    return this.access.first(range) + range.count;
  }

  /** Index of the first range that ends after that number; the length where there is none. */
  #indexOf(number: number): number {
    let low = 0;
    let high = this.#ranges.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      const range = this.#ranges[middle];
      if (range !== undefined && this.#end(range) <= number) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** What of a range lies before and after these numbers. */
  #without(range: T, first: number, count: number): T[] {
    const { access } = this;
    const before = first - access.first(range);
    const after = this.#end(range) - (first + count);
    return [
      ...(before > 0 ? [access.part(range, 0, before)] : []),
      ...(after > 0 ? [access.part(range, range.count - after, after)] : []),
    ];
  }
}
