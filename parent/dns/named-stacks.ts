/**
 * The other stacks of this user that have a name (--name), with the addresses of their published ports.
 *
 * Theory of operation. A stack writes both into its record, and then touches the lock of names, which inotify(7) reports here;
 * the records are read then. The end of a stack is noticed by its process, which is looked at every few seconds. Where no watch
 * can be made (their number is limited for each user), the records are read in the same interval.
 */
import { closeSync, type FSWatcher, mkdirSync, watch } from 'node:fs';
import { dirname } from 'node:path';
import { isRunning, type StackRecord } from '../../protocol/state/stack-record.js';
import { openOwnFile } from '../../protocol/system/own-file.js';
import { findStacks } from '../stack-discovery/running.js';

/** Several changes are read as one, in ms. */
const SETTLE_MS = 30;
const CHECK_MS = 2000;

export class NamedStacks {
  #stacks: StackRecord[] = [];
  #watcher: FSWatcher | undefined;
  #timer: NodeJS.Timeout | undefined;
  readonly #check: NodeJS.Timeout;
  #reading = false;
  #closed = false;

  /** Calls `changed` when the list differs from what it was. Keeps no process alive. `own` is the state directory of this stack. */
  constructor(
    namesLock: string,
    private readonly own: string,
    private readonly changed: () => void,
  ) {
    try {
      mkdirSync(dirname(namesLock), { recursive: true, mode: 0o700 });
      closeSync(openOwnFile(namesLock));
      this.#watcher = watch(namesLock, { persistent: false }, () => this.#soon());
      this.#watcher.on('error', () => this.#watcher?.close());
    } catch {
      // It is looked at in intervals.
    }
    this.#check = setInterval(() => this.#checkEnds(), CHECK_MS).unref();
    this.#soon();
  }

  /** In the order of their starts. */
  list(): readonly StackRecord[] {
    return this.#stacks;
  }

  close(): void {
    this.#closed = true;
    this.#watcher?.close();
    clearInterval(this.#check);
    clearTimeout(this.#timer);
  }

  #soon(): void {
    if (this.#closed) return;
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      void this.#read();
    }, SETTLE_MS).unref();
  }

  #checkEnds(): void {
    const living = this.#stacks.filter(isRunning);
    if (living.length < this.#stacks.length) this.#replace(living);
    if (!this.#watcher) this.#soon();
  }

  async #read(): Promise<void> {
    if (this.#reading) return this.#soon();
    this.#reading = true;
    try {
      const { running } = await findStacks();
      this.#replace(running.filter(({ name, stateDir }) => name !== undefined && stateDir !== this.own));
    } catch {
      // /proc cannot be read, such as where descriptors have run out: the next look is soon.
    } finally {
      this.#reading = false;
    }
  }

  #replace(stacks: StackRecord[]): void {
    const keyOf = (list: readonly StackRecord[]) =>
      JSON.stringify(list.map(({ name, addresses, stateDir }) => [name, addresses, stateDir]));
    if (this.#closed || keyOf(stacks) === keyOf(this.#stacks)) return;
    this.#stacks = stacks;
    this.changed();
  }
}
