/** Containers that are to have a network now: our own by their records, those of other OCI runtimes by the journal. */
import { readdirSync } from 'node:fs';
import { shortId } from '../../../../protocol/containers/short-id.js';
import { startTimeOf } from '../../../../protocol/system/process-identity.js';
import type { Attacher } from '../../network/attacher.js';
import type { Journal, JournalEntry } from '../../storage/journal.js';
import type { KeyedLock } from '../../storage/lock.js';
import type { LiveContainers } from '../../storage/sweepable.js';
import type { ContainerManager } from '../manager.js';

export interface ContainerLivenessDeps {
  /** Id of this run of the stack. */
  stack: string;
  containers: ContainerManager;
  attacher: Attacher;
  journal: Journal;
  /** Held for containers of other OCI runtimes; our own have locks in the manager. */
  foreignLocks: KeyedLock;
}

export class ContainerLiveness implements LiveContainers {
  /** The last one that was begun, see detachDead(). */
  #sweep: Promise<void> = Promise.resolve();
  #nextSweep: Promise<void> | undefined;
  /** When it was begun. */
  #swept = Number.NEGATIVE_INFINITY;

  constructor(private readonly deps: ContainerLivenessDeps) {}

  own(): { id: string; name: string }[] {
    return this.#store.all();
  }

  isOwn(id: string): boolean {
    return this.#store.get(id) !== undefined;
  }

  isRecorded(id: string): boolean {
    return this.isOwn(id) || this.#store.broken().includes(id);
  }

  mayOwnName(id: string, name: string): boolean {
    return this.#store.mayOwnName(id, name);
  }

  nameOf(id: string): string {
    return this.#store.get(id)?.name ?? shortId(id);
  }

  async isLive(id: string): Promise<boolean> {
    if (this.isOwn(id)) return this.deps.containers.isAttached(id);
    if (this.deps.attacher.isFinishing(id)) return true;
    const entry = await this.deps.journal.read(id);
    return entry !== undefined && !entry.detaching && (await this.#isForeignLive(entry));
  }

  unlessLive(id: string, task: () => Promise<void>): Promise<void> {
    if (this.isOwn(id)) return this.deps.containers.whileStopped(id, task);
    return this.deps.foreignLocks.run(id, async () => {
      if (!(await this.isLive(id))) await task();
    });
  }

  whileLive(id: string, task: () => Promise<void>): Promise<void> {
    return this.exclusively(id, async () => {
      if (await this.isLive(id)) await task();
    });
  }

  /** Runs the task while no other task starts or ends the container, or changes its networks. */
  exclusively<T>(id: string, task: () => Promise<T>): Promise<T> {
    return this.isOwn(id) ? this.deps.containers.exclusively(id, task) : this.deps.foreignLocks.run(id, task);
  }

  publishPeerNames(id: string): Promise<void> {
    return this.deps.containers.publishPeerNames(id);
  }

  /**
   * Takes away what containers of other OCI runtimes have left whose process is gone. Requests that come while one is carried
   * out share the next one. Resolves with false, having done nothing, where that was done less than `recently` ms ago.
   */
  async detachDead(recently = 0): Promise<boolean> {
    if (performance.now() - this.#swept < recently) return false;
    await this.#sweepDead();
    return true;
  }

  #sweepDead(): Promise<void> {
    this.#nextSweep ??= this.#sweep.then(() => {
      this.#nextSweep = undefined;
      this.#swept = performance.now();
      const sweep = this.#detachDead();
      this.#sweep = sweep.catch(() => {});
      return sweep;
    });
    return this.#nextSweep;
  }

  async #detachDead(): Promise<void> {
    for (const id of await this.deps.journal.ids()) {
      if (this.isOwn(id) || (await this.isLive(id))) continue;
      await this.unlessLive(id, () => this.deps.attacher.detach(id, { addresses: true, own: false }));
    }
  }

  /** How many containers of other OCI runtimes are live. */
  async countForeign(): Promise<number> {
    let count = 0;
    for (const id of await this.deps.journal.ids()) if (!this.isOwn(id) && (await this.isLive(id))) count++;
    return count;
  }

  get #store(): ContainerManager['store'] {
    return this.deps.containers.store;
  }

  /** As long as this stack runs there is the process. */
  async #isForeignLive({ pid, startTime, stack }: JournalEntry): Promise<boolean> {
    if (stack !== this.deps.stack || !startTime || startTimeOf(pid) !== startTime) return false;
    try {
      return readdirSync(`/proc/${pid}/ns`).length > 0;
    } catch {
      return false;
    }
  }
}
