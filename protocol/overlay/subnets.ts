/**
 * A host's share of an overlay network: a /24 of its IPv4 network (another length where the network's configuration has one),
 * and the /64 of its IPv6 network with the same number, as flannel does it.
 */
import { formatSubnet, intersect, parseCIDR, type Subnet } from '../net/cidr.js';

/** Of the IPv4 network, in bits, unless the network's configuration has another one. */
export const SHARE_PREFIX = 24;
export const SHARE_PREFIX6 = 64;
/** Shares are numbered, with so many bits; an IPv6 network may have many more. */
const MAX_SHARE_BITS = 16;

export interface ShareRules {
  /** Of all hosts together. */
  network: Subnet;
  network6?: Subnet | undefined;
  prefix: number;
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
  return { network, network6, prefix };
}

/** Whether these subnets are a share: an IPv4 one and at most one of IPv6, each within its network and as long as all others. */
export function isShare({ network, network6, prefix }: ShareRules, subnets: readonly Subnet[]): boolean {
  const families = subnets.map(({ family }) => family);
  if (!families.includes(4) || new Set(families).size !== families.length) return false;
  return subnets.every((own) => {
    const [around, length] = own.family === 4 ? [network, prefix] : [network6, SHARE_PREFIX6];
    return around !== undefined && own.prefix === length && around.first <= own.first && own.last <= around.last;
  });
}

/** How many shares there are. */
export function shareCount({ network, network6, prefix }: ShareRules): number {
  const bits6 = network6 ? SHARE_PREFIX6 - network6.prefix : MAX_SHARE_BITS;
  return 2 ** Math.min(prefix - network.prefix, bits6, MAX_SHARE_BITS);
}

/** The subnets of the share with that number, the IPv4 one first. */
export function shareAt(rules: ShareRules, index: number): string[] {
  return subnetsAt(rules, index).map(formatSubnet);
}

function subnetsAt({ network, network6, prefix }: ShareRules, index: number): [Subnet, ...Subnet[]] {
  return [nth(network, prefix, index), ...(network6 ? [nth(network6, SHARE_PREFIX6, index)] : [])];
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
    const subnets = subnetsAt(rules, index);
    const [{ first }] = subnets;
    if ((rules.first ?? first) > first || (rules.last ?? first) < first) continue;
    if (!subnets.some((subnet) => taken.some((one) => intersect(one, subnet)))) return subnets.map(formatSubnet);
  }
  return undefined;
}

function nth({ family, first }: Subnet, prefix: number, index: number): Subnet {
  const size = 1n << BigInt((family === 4 ? 32 : 128) - prefix);
  const start = first + BigInt(index) * size;
  return { family, prefix, first: start, last: start + size - 1n };
}
