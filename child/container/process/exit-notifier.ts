import { EventEmitter } from 'node:events';

/** Notifies waiters of the ends of containers. */
export class ExitNotifier {
  readonly #emitter = new EventEmitter().setMaxListeners(0);

  /**
   * Calls back once, when the container has ended and, with --rm, is removed.
   *
   * @param listener gets the exit code; undefined if it is unknown
   * @returns cancels the callback
   */
  once(id: string, listener: (code: number | undefined) => void): () => void {
    this.#emitter.once(id, listener);
    return () => this.#emitter.off(id, listener);
  }

  notify(id: string, code: number | undefined): void {
    this.#emitter.emit(id, code);
  }
}
