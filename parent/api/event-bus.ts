import { EventEmitter } from 'node:events';
import type { StackEvent } from '../../protocol/api/types.js';
import { portStatuses } from '../../protocol/ports/rootlesskit-json.js';
import type { EventBody } from '../port/driver.js';

/** Events of the stack, for subscribers: the API's event stream, or a program that uses the package as a library. */
export class EventBus {
  readonly #emitter = new EventEmitter().setMaxListeners(0);
  #watchers = 0;
  /** Called with true when the first listener comes and with false when the last one goes. */
  onWatched: (watched: boolean) => void = () => {};
  #queryWatchers = 0;
  /** The same, for events of DNS queries. */
  onQueriesWanted: (wanted: boolean) => void = () => {};

  emit(body: EventBody): void {
    if (this.#emitter.listenerCount('event') === 0) return;
    const time = Date.now();
    if ('ports' in body) {
      for (const status of portStatuses([body.ports])) {
        this.#emitter.emit('event', { time, type: body.type, ...status } satisfies StackEvent);
      }
    } else {
      this.#emitter.emit('event', { time, ...body } satisfies StackEvent);
    }
  }

  /** Has events of DNS queries made until the function that it returns is called. */
  watchQueries(): () => void {
    if (this.#queryWatchers++ === 0) this.onQueriesWanted(true);
    let isWatching = true;
    return () => {
      if (isWatching && --this.#queryWatchers === 0) this.onQueriesWanted(false);
      isWatching = false;
    };
  }

  /**
   * Returns a function that ends the subscription. With `connections: false` the listener alone does not cause events of
   * connections, but gets them where other subscribers do.
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
