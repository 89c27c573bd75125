/**
 * Rate limits: of a stack, for all that leaves it, and all that comes in, through the network of the driver builtin and through
 * published ports; of single ports; and of containers, for what they send and receive, and for their ports. They may change while
 * the stack runs; the engine enforces them (native/src/limit/). A port with a limit of its own is not under that of its container.
 */
import type { LimitReport } from '../../protocol/api/limit.js';
import { formatRateLimit, type RateLimit, UNLIMITED } from '../../protocol/egress/rate-limit.js';
import type { PublishedPort } from '../../protocol/ports/port-mapping.js';
import { LimitNumbers, STACK_LIMIT } from './limit-numbers.js';

/** The part of the engine that is used here. */
export interface LimitEngine {
  setLimit(number: number, limit: { outgoing: number; incoming: number }): void;
  limitPorts(first: number, count: number, number: number): void;
  datagramsDropped(number: number): LimitReport['dropped'];
}

/** A limit, and its number in the engine. */
interface Numbered {
  number: number;
  limit: RateLimit;
}

export class RateLimits {
  readonly #numbers = new LimitNumbers();
  readonly #ofPorts = new Map<number, Numbered>();
  readonly #ofContainers = new Map<string, Numbered>();
  #ofStack: Numbered = { number: STACK_LIMIT, limit: UNLIMITED };

  constructor(private readonly engine: LimitEngine) {}

  set(limit: RateLimit): void {
    this.#ofStack = this.#renew(this.#ofStack, limit);
  }

  report(): LimitReport {
    return this.#reportOf(this.#ofStack);
  }

  /**
   * Of one port that is published.
   * @param published whether a port still is
   */
  setPort(id: number, limit: RateLimit, published: (id: number) => boolean): void {
    for (const [other, { number }] of this.#ofPorts) {
      if (published(other)) continue;
      this.#ofPorts.delete(other);
      this.#numbers.free(number);
    }
    const renewed = this.#renew(this.#ofPorts.get(id), limit);
    this.#ofPorts.set(id, renewed);
    this.engine.limitPorts(id, 1, renewed.number);
  }

  reportPort(id: number): LimitReport {
    return this.#reportOf(this.#ofPorts.get(id));
  }

  /** Returns its number in the engine. Its ports are under it from cover() on. */
  setContainer(id: string, limit: RateLimit): number {
    const renewed = this.#renew(this.#ofContainers.get(id), limit);
    this.#ofContainers.set(id, renewed);
    return renewed.number;
  }

  removeContainer(id: string): void {
    const held = this.#ofContainers.get(id);
    if (!held) return;
    this.#renew(held, UNLIMITED);
    this.#numbers.free(held.number);
    this.#ofContainers.delete(id);
  }

  /** Datagrams that a container's limit has cost; undefined where it has none. */
  droppedOf(container: string): LimitReport['dropped'] | undefined {
    const held = this.#ofContainers.get(container);
    return held && this.engine.datagramsDropped(held.number);
  }

  /** Puts those of the ports that lead to containers with a limit under it. */
  cover(ports: readonly PublishedPort[]): void {
    for (const { id, count, container } of ports) {
      const held = container === undefined ? undefined : this.#ofContainers.get(container);
      if (!held) continue;
      this.engine.limitPorts(id, count, held.number);
      for (const [port, own] of this.#ofPorts) {
        if (id <= port && port < id + count) this.engine.limitPorts(port, 1, own.number);
      }
    }
  }

  /** The engine's limit begins with a full burst, so it is set where it changes, and then only. */
  #renew(held: Numbered | undefined, limit: RateLimit): Numbered {
    const { number, limit: before } = held ?? { number: this.#numbers.allocate(), limit: UNLIMITED };
    if (before.outgoing !== limit.outgoing || before.incoming !== limit.incoming) {
      this.engine.setLimit(number, { outgoing: limit.outgoing ?? 0, incoming: limit.incoming ?? 0 });
    }
    return { number, limit };
  }

  #reportOf(held: Numbered | undefined): LimitReport {
    return {
      limit: formatRateLimit(held?.limit ?? UNLIMITED),
      dropped: held ? this.engine.datagramsDropped(held.number) : { outgoing: 0, incoming: 0 },
    };
  }
}
