/** What the API reports of the rate limit of a stack. */

/** Response to `GET /v1/limit`, and to `PUT`, which changes it by `{"limit": "10M:1M"}`. */
export interface LimitReport {
  /** Outgoing and incoming, as --limit takes it; `unlimited` for none. */
  limit: string;
  /** Datagrams that it has cost, since the stack was started. */
  dropped: { outgoing: number; incoming: number };
}

export function isLimitReport(value: unknown): value is LimitReport {
  return typeof value === 'object' && value !== null && 'limit' in value && typeof value.limit === 'string';
}
