/** DNS queries that the agent's servers have answered, as the parent's event stream has them. */
import * as z from 'zod';
import { ORIGINS } from '../dns/origins.js';

/** Of one message. */
export const MAX_QUERY_REPORTS = 500;

const queryReport = z.object({
  network: z.string().max(64),
  client: z.string().max(64),
  /** Its name. */
  container: z.string().max(256).optional(),
  /** In text form: what is not a letter, digit, hyphen or underscore is escaped, so it has up to four times as many characters. */
  name: z.string().max(1020),
  record: z.string().max(16),
  from: z.enum(ORIGINS),
  ms: z.number().min(0),
  missed: z.int().min(0),
});

export const queryReports = z.object({ queries: z.array(queryReport).max(MAX_QUERY_REPORTS) });

export type QueryReport = z.infer<typeof queryReport>;
