/** What the API reports of the rate limit of a stack. */
import { hasFields, isNumber, isText } from './report-shapes.js';

/** Response to `GET /v1/limit`, and to `PUT`, which changes it by `{"limit": "10M:1M"}`. */
export interface LimitReport {
  /** Outgoing and incoming, as --limit takes it; `unlimited` for none. */
  limit: string;
  /** Datagrams that it has cost, since the stack was started. */
  dropped: { outgoing: number; incoming: number };
}

export const isLimitReport = hasFields<LimitReport>({
  limit: isText,
  dropped: hasFields({ outgoing: isNumber, incoming: isNumber }),
});
