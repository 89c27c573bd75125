import { type FSWatcher, watch } from 'node:fs';
import { basename, dirname } from 'node:path';

/** Interval for polling a log, in case inotify reports no changes, in ms. */
const INTERVAL = 500;

/** Reports changes of a container's log, across rotations. */
export class LogWatch implements Disposable {
  #watcher: FSWatcher | undefined;
  #changed = false;
  #wake: (() => void) | undefined;

  constructor(path: string) {
    const name = basename(path);
    try {
      this.#watcher = watch(dirname(path), (_, file) => {
        if (file === null || file.startsWith(name)) this.notify();
      });
      this.#watcher.on('error', () => {});
    } catch {
      // The user has no more inotify watches, or the container was removed.
    }
  }

  /** Resolves when something has changed since the last time, or may have. */
  async next(): Promise<void> {
    if (!this.#changed) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, INTERVAL);
        this.#wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
      this.#wake = undefined;
    }
    this.#changed = false;
  }

  /** Makes next() resolve as if the log had changed. */
  notify(): void {
    this.#changed = true;
    this.#wake?.();
  }

  [Symbol.dispose](): void {
    this.#watcher?.close();
    this.notify();
  }
}
