/** This host's share of the network: which one, and whose a share is. */
import { randomInt } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { addressOf } from '../../../protocol/net/cidr.js';
import { parseIP } from '../../../protocol/net/ip.js';
import { freeShare, shareCount, shareRules } from '../../../protocol/overlay/subnets.js';
import { OverlayError } from '../errors.js';
import type { NetworkConfig } from './layout.js';

/** A free share, at random: hosts that join at the same time are not to choose the same one. Throws OverlayError. */
export function newShare(config: NetworkConfig, used: readonly string[]): readonly string[] {
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

/** Which host a share belongs to; undefined for a flanneld's. */
export function hostIn(share: string): string | undefined {
  try {
    const { BackendData: data } = JSON.parse(share) as { BackendData?: { Host?: unknown } };
    return typeof data?.Host === 'string' ? data.Host : undefined;
  } catch {
    return undefined;
  }
}

/** Of the machine; "" where it is not known. */
export function bootId(): string {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  } catch {
    return '';
  }
}
