/**
 * Restarts containers by their restart policy.
 *
 * Theory of operation. onEnd() is called when the end of a run is recorded; it waits, longer each time, and then queues the
 * container to be started: only so many are started at once. What is waited for is not recorded; the last runs are
 * (run.json), and resume() works out from them, when a stack or an agent starts, what is to be started. While a container
 * waits, or its turn has come, isWaiting() is true; cancel() decides that it is not started.
 */
import { errorText } from '../../../../protocol/errors/error-text.js';
import type { ContainerRecord, ContainerStore, RunRecord } from '../../storage/container-store.js';
import { nextDelay, wantsAnother, wantsAnotherInNewStack } from './restart-rules.js';

/** How many containers are started at the same time. */
const MAX_CONCURRENT = 4;

interface Waiting {
  timer?: NodeJS.Timeout;
  /** Whether the count of restarts begins at 0. */
  first: boolean;
}

/** @param options `first`: earlier restarts do not count; `isWanted`: false once the restart was cancelled */
export type StartAgain = (id: string, options: { first: boolean; isWanted: () => boolean }) => Promise<void>;

export interface RestartDeps {
  /** Id of this run of the stack. */
  stack: string;
  store: ContainerStore;
  /** Rejects where the container could not be started, after that is recorded. */
  startAgain: StartAgain;
  /** Called where a container could not be started, and is not tried again. */
  onGivenUp: (id: string) => void;
  warn: (line: string) => void;
}

export class RestartScheduler {
  readonly #waiting = new Map<string, Waiting>();
  readonly #delays = new Map<string, number>();
  readonly #queue: string[] = [];
  #starting = 0;
  /** Whether containers can be started: not before all are recovered, nor when the stack ends. */
  #open = false;

  constructor(private readonly deps: RestartDeps) {}

  /** Whether a container is about to be restarted. */
  isWaiting(id: string): boolean {
    return this.#waiting.has(id);
  }

  /** To be called after the end of a run is recorded. */
  onEnd({ id, request }: ContainerRecord, run: RunRecord): void {
    const before = this.#delays.get(id);
    this.cancel(id);
    if (!this.#open || !wantsAnother(request.restart, run)) return;
    const delay = nextDelay(before, run);
    this.#delays.set(id, delay);
    const timer = setTimeout(() => this.#enqueue(id), delay);
    this.#waiting.set(id, { timer, first: false });
  }

  /** Cancels a restart, also one whose turn has come but that has not begun; see StartAgain. */
  cancel(id: string): void {
    clearTimeout(this.#waiting.get(id)?.timer);
    this.#waiting.delete(id);
    this.#delays.delete(id);
  }

  /** Starts what is to run when the stack starts, or its agent was replaced. Containers whose network others share come first. */
  resume(): void {
    this.#open = true;
    const sharesLast = ({ request }: ContainerRecord) => (request.network.mode === 'container' ? 1 : 0);
    for (const record of this.deps.store.all().sort((a, b) => sharesLast(a) - sharesLast(b))) {
      const run = this.deps.store.run(record.id);
      if (run?.status !== 'exited' || record.request.autoRemove) continue;
      if (run.stack === this.deps.stack) this.onEnd(record, run);
      else if (wantsAnotherInNewStack(record.request.restart, run)) {
        this.#waiting.set(record.id, { first: true });
        this.#enqueue(record.id);
      }
    }
  }

  /** Nothing is started any more. */
  close(): void {
    this.#open = false;
    for (const id of [...this.#waiting.keys()]) this.cancel(id);
  }

  #enqueue(id: string): void {
    this.#queue.push(id);
    this.#pump();
  }

  #pump(): void {
    while (this.#starting < MAX_CONCURRENT) {
      const id = this.#queue.shift();
      if (id === undefined) return;
      const waiting = this.#waiting.get(id);
      if (!waiting) continue;
      this.#starting++;
      void this.#run(id, waiting).finally(() => {
        this.#starting--;
        this.#pump();
      });
    }
  }

  async #run(id: string, waiting: Waiting): Promise<void> {
    const before = this.deps.store.run(id)?.failure;
    const isWanted = () => this.#waiting.get(id) === waiting;
    try {
      await this.deps.startAgain(id, { first: waiting.first, isWanted });
      // It may have ended already, and wait for its next restart.
      if (isWanted()) this.#waiting.delete(id);
    } catch (error) {
      const [record, run] = [this.deps.store.get(id), this.deps.store.run(id)];
      const problem = errorText(error);
      if (record && problem !== before) this.deps.warn(`cannot restart ${record.name}: ${problem}`);
      if (!isWanted()) return;
      if (record && run?.status === 'exited') this.onEnd(record, run);
      else this.cancel(id);
      if (!this.isWaiting(id)) this.deps.onGivenUp(id);
    }
  }
}
