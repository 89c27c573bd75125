/**
 * The rate limit of a stack: one for all that leaves it, and one for all that comes in, through the network of the driver builtin
 * and through published ports. It may change while the stack runs; the engine enforces it (native/src/limit/).
 */
import type { LimitReport } from '../../protocol/api/limit.js';
import { formatRateLimit, type RateLimit } from '../../protocol/egress/rate-limit.js';
import { NetworkError } from '../errors.js';
import type { Network } from '../network/driver.js';

/** The part of the engine that is used here. */
export interface LimitEngine {
  setLimit(limit: { outgoing: number; incoming: number }): void;
  datagramsDropped(): LimitReport['dropped'];
}

export class StackLimit {
  #limit: RateLimit = { outgoing: undefined, incoming: undefined };

  constructor(private readonly engine: LimitEngine) {}

  set(limit: RateLimit): void {
    this.#limit = limit;
    this.engine.setLimit({ outgoing: limit.outgoing ?? 0, incoming: limit.incoming ?? 0 });
  }

  report(): LimitReport {
    return { limit: formatRateLimit(this.#limit), dropped: this.engine.datagramsDropped() };
  }
}

/** Undefined where the network passes the engine by. Throws NetworkError if a limit is required all the same. */
export function startLimit(
  limit: RateLimit | undefined,
  engine: LimitEngine,
  network: Network,
): StackLimit | undefined {
  if (!network.egress) {
    if (!limit) return undefined;
    throw new NetworkError(
      `the network driver ${network.info?.driver ?? 'host'} cannot enforce a rate limit (--limit); hint: --net=builtin`,
    );
  }
  const stackLimit = new StackLimit(engine);
  if (limit) stackLimit.set(limit);
  return stackLimit;
}
