/** The part of the API about rate limits, an addition to RootlessKit's. */
import type { LimitReport } from '../../../protocol/api/limit.js';
import { parseRateLimit } from '../../../protocol/egress/rate-limit.js';
import { EgressError } from '../../egress/egress.js';
import type { RateLimits } from '../../egress/rate-limit.js';
import { NetworkError } from '../../errors.js';
import { UnknownPortError } from '../../port/errors.js';
import { driverOf, type PortsAPIOptions } from '../ports.js';
import { onlyValue } from './changes.js';

export interface LimitsAPIOptions extends PortsAPIOptions {
  /** `undefined` where the network cannot have any. */
  limits?: RateLimits | undefined;
}

/** @param port id of a published port; the stack unless given. Throws NetworkError where the network has no limits, PortError. */
export function reportLimit(options: LimitsAPIOptions, port?: string): LimitReport {
  const limits = limitsOf(options);
  return port === undefined ? limits.report() : limits.reportPort(publishedId(options, port));
}

/** @param body `{limit: "10M:1M"}`. Throws EgressError, RateLimitError, and as reportLimit(). */
export function changeLimit(options: LimitsAPIOptions, body: unknown, port?: string): LimitReport {
  const expected = 'expected {"limit": "RATE[:RATE]"}';
  const text = onlyValue(body, 'limit', expected);
  if (typeof text !== 'string') throw new EgressError(400, expected);
  const wanted = parseRateLimit(text, 'limit');
  const limits = limitsOf(options);
  if (port === undefined) limits.set(wanted);
  else limits.setPort(publishedId(options, port), wanted, (id) => isPublished(options, id));
  return reportLimit(options, port);
}

function limitsOf({ limits }: LimitsAPIOptions): RateLimits {
  if (!limits) throw new NetworkError('this stack cannot have a rate limit; hint: start it with --net=builtin');
  return limits;
}

/** Throws PortError. */
function publishedId(options: LimitsAPIOptions, text: string): number {
  const id = Number(text);
  if (!isPublished(options, id)) throw new UnknownPortError(id);
  return id;
}

function isPublished(options: LimitsAPIOptions, id: number): boolean {
  return driverOf(options)
    .list()
    .some((port) => port.id <= id && id < port.id + port.count);
}
