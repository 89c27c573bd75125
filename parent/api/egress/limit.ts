/** The part of the API about the rate limit, an addition to RootlessKit's. */
import type { LimitReport } from '../../../protocol/api/limit.js';
import { parseRateLimit } from '../../../protocol/egress/rate-limit.js';
import { EgressError } from '../../egress/egress.js';
import type { StackLimit } from '../../egress/rate-limit.js';
import { NetworkError } from '../../errors.js';

/** Throws NetworkError where the network has no limit. */
export function limitOf(limit: StackLimit | undefined): StackLimit {
  if (!limit) throw new NetworkError('this stack cannot have a rate limit; hint: start it with --net=builtin');
  return limit;
}

/** @param body `{limit: "10M:1M"}`. Throws EgressError, RateLimitError, NetworkError. */
export function changeLimit(limit: StackLimit | undefined, body: unknown): LimitReport {
  const known = typeof body === 'object' && body !== null && Object.keys(body).join() === 'limit';
  const text = known && 'limit' in body ? body.limit : undefined;
  if (typeof text !== 'string') throw new EgressError(400, 'expected {"limit": "RATE[:RATE]"}');
  const wanted = parseRateLimit(text, 'limit');
  const changed = limitOf(limit);
  changed.set(wanted);
  return changed.report();
}
