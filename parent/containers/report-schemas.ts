/** Validates what the agent reports of names and queries; it is not trusted. */
import * as z from 'zod';
import { ORIGINS } from '../../protocol/dns/origins.js';
import { parseIP } from '../../protocol/net/ip.js';
import { containerName, networkName, subnet } from '../../protocol/overlay/schemas.js';
import {
  MAX_PUBLISHED_ADDRESSES,
  MAX_PUBLISHED_NAMES,
  type PublishedNames,
} from '../../protocol/wire/published-names.js';
import { MAX_QUERY_REPORTS, type QueryReport } from '../../protocol/wire/query-reports.js';

const MAX_NETWORKS = 1000;

const address = z.string().refine((text) => parseIP(text) !== undefined, { error: 'not an address' });

export const publishedNames: z.ZodType<PublishedNames> = z
  .object({
    networks: z
      .array(
        z.object({
          network: networkName,
          subnets: z.array(subnet).max(16),
          entries: z
            .array(
              z.object({
                names: z.array(containerName).min(1).max(MAX_PUBLISHED_NAMES),
                addresses: z.array(address).min(1).max(MAX_PUBLISHED_ADDRESSES),
                container: z.string().max(256),
              }),
            )
            .max(MAX_PUBLISHED_NAMES),
        }),
      )
      .max(MAX_NETWORKS),
  })
  .refine(
    ({ networks }) =>
      networks.reduce((sum, { entries }) => sum + entries.reduce((all, { names }) => all + names.length, 0), 0) <=
      MAX_PUBLISHED_NAMES,
    { error: `more than ${MAX_PUBLISHED_NAMES} names` },
  );

const queryReport: z.ZodType<QueryReport> = z.object({
  network: z.string().max(64),
  client: z.string().max(64),
  container: z.string().max(256).optional(),
  // In text form: what is not a letter, digit, hyphen or underscore is escaped, so it has up to four times as many characters.
  name: z.string().max(1020),
  record: z.string().max(16),
  from: z.enum(ORIGINS),
  ms: z.number().min(0),
  missed: z.int().min(0),
});

export const queryReports = z.object({ queries: z.array(queryReport).max(MAX_QUERY_REPORTS) });
