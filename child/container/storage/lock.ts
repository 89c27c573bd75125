/** Locks within the agent, which owns all state: one per key, granted in the order of the requests. */
export class KeyedLock {
  readonly #tails = new Map<string, Promise<void>>();

  /** Runs `task` once no other task holds the key. */
  async run<T>(key: string, task: () => Promise<T>): Promise<T> {
    const before = this.#tails.get(key) ?? Promise.resolve();
    let release = () => {};
    const mine = new Promise<void>((resolve) => {
      release = resolve;
    });
    const tail = before.then(() => mine);
    this.#tails.set(key, tail);
    await before;
    try {
      return await task();
    } finally {
      release();
      if (this.#tails.get(key) === tail) this.#tails.delete(key);
    }
  }
}

/** Locks of containers, by id. A container is busy while a task starts or ends it, or changes its networks. */
export class ContainerLocks {
  readonly #locks = new KeyedLock();
  readonly #busy = new Set<string>();

  /** Runs `task` while no other task starts or ends the container, or changes its networks. */
  exclusively<T>(id: string, task: () => Promise<T>): Promise<T> {
    return this.#locks.run(id, async () => {
      this.#busy.add(id);
      try {
        return await task();
      } finally {
        this.#busy.delete(id);
      }
    });
  }

  /** Like exclusively(), but the container does not count as busy meanwhile. */
  quietly<T>(id: string, task: () => Promise<T>): Promise<T> {
    return this.#locks.run(id, task);
  }

  isBusy(id: string): boolean {
    return this.#busy.has(id);
  }
}
