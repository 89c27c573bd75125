/** Numbers of rate limits in the engine (native/src/limit/limit_book.h), which are used again. */

/** That of the whole stack. */
export const STACK_LIMIT = 0;

export class LimitNumbers {
  readonly #used = new Set<number>([STACK_LIMIT]);

  /** The lowest that is free. */
  allocate(): number {
    let number = STACK_LIMIT;
    while (this.#used.has(number)) number++;
    this.#used.add(number);
    return number;
  }

  free(number: number): void {
    this.#used.delete(number);
  }
}
