import { EventEmitter } from 'node:events';
import type { StackEvent } from '../protocol/api.js';
import type { EventBody } from './port/driver.js';

/** What happens in the stack, for whoever listens: the API's event stream, or a program that uses us as a library. */
export class EventBus {
  readonly #emitter = new EventEmitter().setMaxListeners(0);
  #watchers = 0;
  /** Called with true when the first listener comes and with false when the last one goes. */
  onWatched: (watched: boolean) => void = () => {};

  emit(body: EventBody): void {
    if (this.#emitter.listenerCount('event') === 0) return;
    this.#emitter.emit('event', { time: Date.now(), ...body } satisfies StackEvent);
  }

  /**
   * Returns a function that ends the subscription. With `connections: false` the listener does without the events of
   * connections, unless others want them.
   */
  subscribe(listener: (event: StackEvent) => void, { connections = true } = {}): () => void {
    this.#emitter.on('event', listener);
    if (connections && this.#watchers++ === 0) this.onWatched(true);
    return () => {
      if (!this.#emitter.listeners('event').includes(listener)) return;
      this.#emitter.off('event', listener);
      if (connections && --this.#watchers === 0) this.onWatched(false);
    };
  }
}
