/**
 * Rate limits: of a stack, for all that leaves it, and all that comes in, through the network of the driver builtin and through
 * published ports; of single ports; and of single containers, see container-policies.ts. They may change while the stack runs;
 * the engine enforces them (native/src/limit/). A port with a limit of its own is not under that of its container.
 */
import type { LimitReport } from '../../protocol/api/limit.js';
import { formatRateLimit, type RateLimit, UNLIMITED } from '../../protocol/egress/rate-limit.js';
import { type LimitNumbers, STACK_LIMIT } from './limit-numbers.js';

/** The part of the engine that is used here. */
export interface LimitEngine {
  setLimit(number: number, limit: { outgoing: number; incoming: number }): void;
  limitPorts(first: number, count: number, number: number): void;
  datagramsDropped(number: number): LimitReport['dropped'];
}

interface PortLimit {
  number: number;
  limit: RateLimit;
}

export class RateLimits {
  readonly #ofPorts = new Map<number, PortLimit>();
  #ofStack = UNLIMITED;

  constructor(
    private readonly engine: LimitEngine,
    private readonly numbers: LimitNumbers,
  ) {}

  set(limit: RateLimit): void {
    this.#ofStack = limit;
    applyLimit(this.engine, STACK_LIMIT, limit);
  }

  report(): LimitReport {
    return reportOf(this.engine, STACK_LIMIT, this.#ofStack);
  }

  /**
   * Of one port that is published.
   * @param published whether a port still is
   */
  setPort(id: number, limit: RateLimit, published: (id: number) => boolean): void {
    for (const [other, { number }] of this.#ofPorts) {
      if (published(other)) continue;
      this.#ofPorts.delete(other);
      this.numbers.free(number);
    }
    const number = this.#ofPorts.get(id)?.number ?? this.numbers.allocate();
    this.#ofPorts.set(id, { number, limit });
    applyLimit(this.engine, number, limit);
    this.engine.limitPorts(id, 1, number);
  }

  reportPort(id: number): LimitReport {
    const { number, limit } = this.#ofPorts.get(id) ?? {};
    return number === undefined || limit === undefined
      ? { limit: formatRateLimit(UNLIMITED), dropped: { outgoing: 0, incoming: 0 } }
      : reportOf(this.engine, number, limit);
  }
}

export function applyLimit(engine: Pick<LimitEngine, 'setLimit'>, number: number, limit: RateLimit): void {
  engine.setLimit(number, { outgoing: limit.outgoing ?? 0, incoming: limit.incoming ?? 0 });
}

function reportOf(engine: LimitEngine, number: number, limit: RateLimit): LimitReport {
  return { limit: formatRateLimit(limit), dropped: engine.datagramsDropped(number) };
}
