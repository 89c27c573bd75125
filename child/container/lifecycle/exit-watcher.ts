/**
 * Finds containers that have ended.
 *
 * Theory of operation. A container's monitor writes an exit file when it ends, which inotify reports. Where the monitor was
 * killed no file appears, so the processes of running containers are polled as well; and tasks that depend on whether a
 * container runs call refreshStatus() first.
 */
import { type FSWatcher, watch } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { shortId } from '../../../protocol/containers/short-id.js';
import { errorText } from '../../../protocol/errors/error-text.js';
import { containerOf } from '../process/run-files.js';
import type { EngineContext } from './context.js';
import { MONITOR_LOST, refreshStatus } from './run-end.js';

/** Interval for polling containers whose exit was not reported, in ms. */
const POLL_INTERVAL = 2_000;

export class ExitWatcher {
  #watcher: FSWatcher | undefined;
  #polling: NodeJS.Timeout | undefined;

  constructor(private readonly ctx: EngineContext) {}

  async start(): Promise<void> {
    await this.watchExitFiles();
    this.#polling = setInterval(() => void this.#poll(), POLL_INTERVAL).unref();
  }

  /** Makes the directory of exit files, and watches it; again where the directory was removed. */
  async watchExitFiles(): Promise<void> {
    this.#watcher?.close();
    const directory = this.ctx.files.exitsDirectory;
    await mkdir(directory, { recursive: true, mode: 0o700 });
    this.#watcher = watch(directory, (_, name) => {
      if (name && !name.endsWith('.new') && this.ctx.store.get(containerOf(name))) this.scheduleReap(containerOf(name));
    });
  }

  /** Cleans up after a container that may have ended, once no other task holds its lock. */
  scheduleReap(id: string): void {
    this.ctx.locks
      .exclusively(id, async () => {
        const record = this.ctx.store.get(id);
        if (record) await refreshStatus(this.ctx, record);
      })
      .catch((error: unknown) => {
        this.ctx.warn(`cannot clean up after ${shortId(id)}: ${errorText(error)}`);
      });
  }

  close(): void {
    this.#watcher?.close();
    clearInterval(this.#polling);
  }

  async #poll(): Promise<void> {
    const { store, processes, locks } = this.ctx;
    for (const { id } of store.all()) {
      const run = store.run(id);
      if (run?.status !== 'running' || locks.isBusy(id)) continue;
      if (!processes.isRunning(run)) this.scheduleReap(id);
      else if (run.reason === undefined && processes.hasLostMonitor(run)) await this.#recordLostMonitor(id);
    }
  }

  /** The container continues to run, and its report has the reason why its exit code will be unknown. */
  async #recordLostMonitor(id: string): Promise<void> {
    const { store, locks, warn } = this.ctx;
    await locks.exclusively(id, async () => {
      const [record, run] = [store.get(id), store.run(id)];
      if (!record || run?.status !== 'running') return;
      warn(
        `the monitor of ${record.name} was lost; the container continues to run, but its output is lost and its exit code will be unknown`,
      );
      await store.writeRun(id, { ...run, reason: MONITOR_LOST });
    });
  }
}
