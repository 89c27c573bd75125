/** This host's share of the network: which one, and whose a share is. */
import { randomInt } from 'node:crypto';
import { readFileSync } from 'node:fs';
import * as z from 'zod';
import { addressOf } from '../../../protocol/net/cidr.js';
import { parseIP } from '../../../protocol/net/ip.js';
import { hostId } from '../../../protocol/overlay/schemas.js';
import { freeShare, isShare, shareCount, shareRules } from '../../../protocol/overlay/subnets.js';
import { OverlayError } from '../errors.js';
import type { Picture } from '../etcd/follow.js';
import { jsonOf, keys, type NetworkConfig, parseSubnetKey } from './layout.js';
import { overlap, parsedSubnets } from './picture.js';

export interface ShareDeps {
  prefix: string;
  config: NetworkConfig;
  /** This host. */
  host: string;
  /** Its subnets of the last time, and whether this process has had them. */
  last: readonly string[] | undefined;
  held: boolean;
}

/** What the registry has for this host, whatever its files name; else the subnets of the last time, or free ones. Throws OverlayError. */
export function shareOf(picture: Picture, { prefix, config, host, last, held }: ShareDeps): readonly string[] {
  const { subnets: start } = keys(prefix);
  const rules = shareRules(config.networks, config.prefix);
  const used: string[] = [];
  let own: readonly string[] | undefined;
  for (const [key, { value }] of picture) {
    if (!key.startsWith(start)) continue;
    const share = parseSubnetKey(key.slice(start.length)) ?? [];
    used.push(...share);
    // Whoever writes to etcd does not choose addresses for this host outside of the network.
    if (hostIn(value) !== host || !rules || !isShare(rules, parsedSubnets(share))) continue;
    if (!own || share.join() === last?.join()) own = share;
  }
  if (own) return own;
  return last && (held || !overlap(last, used)) ? last : newShare(config, used);
}

/** A free share, at random: hosts that join at the same time are not to choose the same one. Throws OverlayError. */
function newShare(config: NetworkConfig, used: readonly string[]): readonly string[] {
  const { networks, prefix, first, last } = config;
  const rules = shareRules(networks, prefix);
  const bound = (text: string | undefined) => (text === undefined ? undefined : parseIP(addressOf(text))?.value);
  const share =
    rules &&
    freeShare({ ...rules, first: bound(first), last: bound(last) }, used, randomInt(Math.max(shareCount(rules), 1)));
  if (share) return share;
  throw new OverlayError(`all subnets of ${networks.join(', ')} are taken`, {
    hint: 'rootless-net overlay expel removes hosts that are gone',
  });
}

const hostSchema = z.object({ BackendData: z.object({ Host: hostId }) });

/** Which host a share belongs to; undefined for a flanneld's, and for what is invalid. */
export function hostIn(share: string): string | undefined {
  return hostSchema.safeParse(jsonOf(share)).data?.BackendData.Host;
}

/** Of the machine; "" where it is not known. */
export function bootId(): string {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  } catch {
    return '';
  }
}
