/** The events of a stack as an async iterable, typed by a filter. */
import type { StackEvent } from '../../protocol/api/types.js';
import type { StackClient } from '../client/stack-client.js';
import { abortSignal, type Checks, checkFields, oneOf } from './checks.js';

export type EventType = StackEvent['type'];
/** Events of these types. */
export type EventOf<T extends EventType> = T extends EventType ? Extract<StackEvent, { type: T }> : never;

export interface EventFilter<T extends EventType = EventType> {
  /** Only these; all but `dns-query` unless given. */
  type?: T | readonly T[];
  /** Ends the events. */
  signal?: AbortSignal;
}

const TYPES: Readonly<Record<EventType, true>> = {
  'port-added': true,
  'port-removed': true,
  'port-state': true,
  'connection-opened': true,
  'connection-refused': true,
  'connection-closed': true,
  'outbound-opened': true,
  'outbound-closed': true,
  'egress-denied': true,
  'dns-query': true,
  'container-created': true,
  'container-started': true,
  'container-exited': true,
  'container-removed': true,
  'network-created': true,
  'network-removed': true,
  'network-connected': true,
  'network-disconnected': true,
  'driver-state': true,
};
const [isType, types] = oneOf(Object.keys(TYPES));
const CHECKS: Checks<EventFilter> = {
  type: [(value) => [value].flat().every(isType), types],
  signal: abortSignal,
};

/** Throws OptionError. */
export function checkFilter(filter: unknown): void {
  checkFields(filter, CHECKS);
}

/**
 * Events from its start on. Ends when the stack ends, when `signal` aborts, and when the loop is left. A reader that falls far
 * behind gets an EventStreamError.
 */
export class Events<T extends EventType = EventType> implements AsyncIterableIterator<EventOf<T>> {
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
    // The stack makes these for those only that ask for them.
    const queries = this.#types?.has('dns-query') ?? false;
    this.#events = client.events({ signal: AbortSignal.any(signals), queries });
    // The stack greets with an event as soon as there is a subscription.
    const first = this.#events.next();
    this.#first = first;
    this.started = first.then(() => {});
    this.started.catch(() => {});
  }

  async next(): Promise<IteratorResult<EventOf<T>, void>> {
    while (!this.#abort.signal.aborted) {
      const first = this.#first;
      this.#first = undefined;
      const result = await (first ?? this.#events.next());
      if (result.done || this.#isWanted(result.value)) return result as IteratorResult<EventOf<T>, void>;
    }
    return { done: true, value: undefined };
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
