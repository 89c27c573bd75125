/** The events of a stack as an async iterable, typed by a filter. */
import type { StackEvent } from '../../protocol/api/types.js';
import type { StackClient } from '../client/stack-client.js';

export type EventType = StackEvent['type'];
/** Events of these types. */
export type EventOf<T extends EventType> = T extends EventType ? Extract<StackEvent, { type: T }> : never;

export interface EventFilter<T extends EventType = EventType> {
  /** Only these; all unless given. */
  type?: T | readonly T[];
  /** Ends the events. */
  signal?: AbortSignal;
}

/**
 * Events from its start on. Ends when the stack ends, when `signal` aborts, and when the loop is left. A reader that falls far
 * behind gets an EventStreamError.
 */
export class Events<T extends EventType = EventType> implements AsyncIterableIterator<EventOf<T>, void, undefined> {
  /** Resolves when nothing is missed any more. */
  readonly started: Promise<void>;
  readonly #events: AsyncGenerator<StackEvent, void, undefined>;
  readonly #types: ReadonlySet<string> | undefined;
  readonly #abort = new AbortController();
  #first: Promise<IteratorResult<StackEvent, void>> | undefined;

  /** @param closed ends them, too */
  constructor(client: Pick<StackClient, 'events'>, { type, signal }: EventFilter<T> = {}, closed?: AbortSignal) {
    this.#types = type === undefined ? undefined : new Set([type].flat());
    const signals = [this.#abort.signal, signal, closed].filter((end) => end !== undefined);
    this.#events = client.events({ signal: AbortSignal.any(signals) });
    // The stack greets with an event as soon as there is a subscription.
    const first = this.#events.next();
    this.#first = first;
    this.started = first.then(() => {});
    this.started.catch(() => {});
  }

  async next(): Promise<IteratorResult<EventOf<T>, void>> {
    for (;;) {
      const first = this.#first;
      this.#first = undefined;
      const result = await (first ?? this.#events.next());
      if (result.done || this.#isWanted(result.value)) return result as IteratorResult<EventOf<T>, void>;
    }
  }

  async return(): Promise<IteratorResult<EventOf<T>, void>> {
    this.#abort.abort();
    return { done: true, value: undefined };
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.return();
  }

  #isWanted({ type }: StackEvent): boolean {
    return !this.#types || this.#types.has(type);
  }
}
