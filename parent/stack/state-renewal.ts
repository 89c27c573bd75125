import type { APIServer } from '../api/server.js';
import type { ContainerService } from '../containers/service.js';
import { errorText } from '../errors.js';
import type { StateDir } from '../state/state-dir.js';

export interface StateRenewalDeps {
  api: APIServer;
  containers: ContainerService | undefined;
  stateDir: StateDir;
  log: { warn(line: string): void };
}

/** Recreates the state directory and the sockets in it where they are missing, such as after a logout. */
export class StateRenewal {
  #running = false;
  #closed = false;
  /** Why it failed last. */
  #problem = '';

  constructor(private readonly deps: StateRenewalDeps) {}

  /** Never throws: a failure is logged once, and the next call tries again. */
  async check(): Promise<void> {
    const { api, containers, log, stateDir } = this.deps;
    if (this.#closed || this.#running) return;
    this.#running = true;
    try {
      const complete = stateDir.isInPlace();
      if (!complete) {
        stateDir.renew();
        await api.listenAgain();
        log.warn(`${stateDir.path} was missing, or parts of it; it was recreated`);
      }
      if (!complete || containers?.isInPlace() === false) containers?.renew();
      this.#problem = '';
    } catch (error) {
      const problem = errorText(error);
      if (problem !== this.#problem) log.warn(`the state directory is missing, and cannot be recreated: ${problem}`);
      this.#problem = problem;
    } finally {
      this.#running = false;
    }
  }

  /** Whether close() was called: the stack is ending. */
  get closed(): boolean {
    return this.#closed;
  }

  close(): void {
    this.#closed = true;
  }
}
