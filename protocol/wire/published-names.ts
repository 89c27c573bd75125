/** Names of containers that the agent reports to the parent, for the host's programs. */
import * as z from 'zod';
import { parseIP } from '../net/ip.js';
import { containerName, networkName, subnet } from '../overlay/schemas.js';

/** Over all networks. */
export const MAX_PUBLISHED_NAMES = 20_000;
/** Of one entry. */
export const MAX_PUBLISHED_ADDRESSES = 64;
const MAX_NETWORKS = 1000;

const address = z.string().refine((text) => parseIP(text) !== undefined, { error: 'not an address' });

export const publishedNames = z
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
                /** Its id; "" for those of other hosts. */
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

export type PublishedNames = z.infer<typeof publishedNames>;
