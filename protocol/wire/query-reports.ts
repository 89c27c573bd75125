import type { Origin } from '../dns/origins.js';

/** Of one message. */
export const MAX_QUERY_REPORTS = 500;

/** A DNS query that the agent's servers have answered, as the parent's event stream has it. */
export interface QueryReport {
  network: string;
  /** Address of who has asked. */
  client: string;
  /** Its name. */
  container?: string | undefined;
  name: string;
  /** The type of record, such as A. */
  record: string;
  /** Who has answered. */
  from: Origin;
  ms: number;
  /** Queries before it that were too many to be reported. */
  missed: number;
}
