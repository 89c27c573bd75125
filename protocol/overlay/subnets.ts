/**
 * A host's share of an overlay network: a /24 of its IPv4 network (another length where the network's configuration has one),
 * and the /64 of its IPv6 network with the same number, as flannel does it.
 */
import { formatSubnet, intersect, parseCIDR, type Subnet } from '../net/cidr.js';

/** Of the IPv4 network, in bits, unless the network's configuration has another one. */
export const SHARE_PREFIX = 24;
export const SHARE_PREFIX6 = 64;
/** Shares are numbered; an IPv6 network may have many more. */
const MAX_SHARES = 1 << 16;

export interface ShareRules {
  /** Of all hosts together. */
  network: Subnet;
  network6?: Subnet | undefined;
  prefix: number;
  prefix6: number;
  /** The first and the last share that may be taken; all of the network unless given, but the first one, as in flannel. */
  first?: bigint | undefined;
  last?: bigint | undefined;
}

/** The parsed networks of an overlay; undefined where they are not an IPv4 network with room for two hosts, and an IPv6 one. */
export function shareRules(networks: readonly string[], prefix = SHARE_PREFIX): ShareRules | undefined {
  const parsed = networks.map((text) => parseCIDR(text)?.subnet);
  const network = parsed.find((one) => one?.family === 4);
  const network6 = parsed.find((one) => one?.family === 6);
  if (!network || parsed.length > 2 || parsed.length !== 1 + (network6 ? 1 : 0)) return undefined;
  if (network.prefix >= prefix || (network6 && network6.prefix >= SHARE_PREFIX6)) return undefined;
  return { network, network6, prefix, prefix6: SHARE_PREFIX6 };
}

/** How many shares there are. */
export function shareCount({ network, network6, prefix, prefix6 }: ShareRules): number {
  const bits = Math.min(prefix - network.prefix, network6 ? prefix6 - network6.prefix : 16, 16);
  return Math.min(2 ** bits, MAX_SHARES);
}

/** The subnets of the share with that number, the IPv4 one first. */
export function shareAt({ network, network6, prefix, prefix6 }: ShareRules, index: number): string[] {
  return [
    formatSubnet(nth(network, prefix, index)),
    ...(network6 ? [formatSubnet(nth(network6, prefix6, index))] : []),
  ];
}

/**
 * A share that intersects none of the used subnets; undefined where all are taken.
 * @param start where the search begins: hosts that join at the same time are not to choose the same one
 */
export function freeShare(rules: ShareRules, used: readonly string[], start: number): string[] | undefined {
  const taken = used.flatMap((text) => parseCIDR(text)?.subnet ?? []);
  const count = shareCount(rules);
  for (let step = 0; step < count; step++) {
    const index = (start + step) % count;
    // flannel leaves the first one out by default (SubnetMin), too.
    if (index === 0 && count > 1) continue;
    const subnets = shareAt(rules, index);
    const parsed = subnets.flatMap((text) => parseCIDR(text)?.subnet ?? []);
    const [own] = parsed;
    if (own && ((rules.first ?? own.first) > own.first || (rules.last ?? own.first) < own.first)) continue;
    if (!parsed.some((subnet) => taken.some((one) => intersect(one, subnet)))) return subnets;
  }
  return undefined;
}

function nth({ family, first }: Subnet, prefix: number, index: number): Subnet {
  const size = 1n << BigInt((family === 4 ? 32 : 128) - prefix);
  const start = first + BigInt(index) * size;
  return { family, prefix, first: start, last: start + size - 1n };
}
