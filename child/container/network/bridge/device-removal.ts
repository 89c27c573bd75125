/**
 * Removes containers' devices beside what the agent does meanwhile.
 *
 * Theory of operation. For each device the kernel waits, for tens of milliseconds, until nobody uses it any more. The call
 * for that is on another thread, one at a time: devices that are to be removed meanwhile wait for the next one, which removes
 * them together, so that the kernel waits once. Who makes a device of the same name waits for removed() first.
 */
import { randomInt } from 'node:crypto';
import { RouteSocket } from '../../../netlink/route.js';

interface Removal {
  name: string;
  resolve: () => void;
  reject: (error: unknown) => void;
}

export class DeviceRemoval {
  /** Of the devices in one call (ip-link(8), `group`); not one that other programs choose. */
  readonly #group = randomInt(1 << 24, 1 << 30);
  readonly #removals = new Map<string, Promise<void>>();
  readonly #waiting: Removal[] = [];
  #running = false;

  /** Resolves when there is no such device any more. Throws NetlinkError. */
  remove(name: string): Promise<void> {
    const known = this.#removals.get(name);
    if (known) return known;
    const settled = new Promise<void>((resolve, reject) => {
      this.#waiting.push({ name, resolve, reject });
    });
    this.#removals.set(name, settled);
    if (!this.#running) void this.#run();
    return settled;
  }

  /** Resolves when no device of that name is being removed. */
  async removed(name: string): Promise<void> {
    await this.#removals.get(name)?.catch(() => {});
  }

  async #run(): Promise<void> {
    this.#running = true;
    // Those that are to be removed at the same time belong to the first call.
    await Promise.resolve();
    while (this.#waiting.length > 0) await this.#removeAll(this.#waiting.splice(0));
    this.#running = false;
  }

  async #removeAll(removals: readonly Removal[]): Promise<void> {
    const names = removals.map(({ name }) => name);
    let settle = (removal: Removal) => removal.resolve();
    try {
      using socket = new RouteSocket();
      await socket.deleteLinks(names, this.#group);
    } catch (error) {
      settle = (removal) => removal.reject(error);
    }
    for (const name of names) this.#removals.delete(name);
    removals.forEach(settle);
  }
}
