/**
 * Rate limits (--limit): RATE[:RATE], outgoing and incoming, or one for each of both. A RATE is a number with a unit, a second:
 * bytes, with k, M or G for powers of 1000 and Ki, Mi or Gi for powers of 1024 (`10M`, `1.5MiB/s`), or bits (`800kbit`).
 */
import { ExpectedError } from '../errors/expected-error.js';
import { quote } from '../text/preview.js';

/** In bytes a second; undefined is unlimited. */
export interface RateLimit {
  readonly outgoing: number | undefined;
  readonly incoming: number | undefined;
}

export const UNLIMITED: RateLimit = { outgoing: undefined, incoming: undefined };

const FORM = 'RATE or RATE:RATE, such as 10M, 1.5MiB/s or unlimited:800kbit';
/** Slower than this nothing works: a handshake of TLS alone takes seconds. */
const LEAST = 1000;
/** A terabyte a second: faster than what any machine relays. */
const MOST = 1e12;
const FACTORS: Readonly<Record<string, number>> = {
  '': 1,
  k: 1e3,
  m: 1e6,
  g: 1e9,
  ki: 2 ** 10,
  mi: 2 ** 20,
  gi: 2 ** 30,
};

/** An invalid limit. The message is one line and complete. */
export class RateLimitError extends ExpectedError {
  override name = 'RateLimitError';
  override readonly code: string = 'invalid';
  override readonly httpStatus = 400;
}

/**
 * Parses a limit.
 * @param origin for messages, such as `--limit`
 * @throws RateLimitError
 */
export function parseRateLimit(text: string, origin: string): RateLimit {
  const fail = (expected: string): never => {
    throw new RateLimitError(`Invalid limit ${quote(text)} (${origin}): expected ${expected}`);
  };
  const rates = text.trim().split(':');
  if (rates.length > 2) fail(FORM);
  const [outgoing, incoming] = rates.map((rate) => parseRate(rate.trim(), fail));
  return { outgoing, incoming: rates.length === 1 ? outgoing : incoming };
}

function parseRate(text: string, fail: (expected: string) => never): number | undefined {
  if (/^unlimited$/i.test(text)) return undefined;
  const pattern = /^(\d{1,15}(?:\.\d{1,9})?) ?([kmg]i?)?(b|bit)?(?:\/s)?$/i;
  const [, digits, prefix = '', unit = ''] = pattern.exec(text) ?? [];
  if (digits === undefined) return fail(FORM);
  // A bit to some, a byte to others.
  if (unit === 'b') fail(`${digits}${prefix}B for bytes or ${digits}${prefix}bit for bits`);
  const bits = unit.toLowerCase() === 'bit';
  const rate = Math.floor((Number(digits) * (FACTORS[prefix.toLowerCase()] ?? 1)) / (bits ? 8 : 1));
  if (rate < LEAST || rate > MOST) fail('a rate from 1kB/s to 1000GB/s');
  return rate;
}

/** The limit as it is shown, in bytes a second: `1500000B/s:unlimited`. parseRateLimit() gives the same limit back. */
export function formatRateLimit({ outgoing, incoming }: RateLimit): string {
  const format = (rate: number | undefined) => (rate === undefined ? 'unlimited' : `${rate}B/s`);
  return outgoing === incoming ? format(outgoing) : `${format(outgoing)}:${format(incoming)}`;
}
