/** Validation and arithmetic for the subnets of container networks, IPv4 and IPv6. */

import { createHash } from 'node:crypto';
import {
  formatSubnet,
  includes,
  intersect,
  nextFreeSubnet,
  parseCIDR,
  privateBlock,
  type Subnet,
  subnetAround,
} from '../../../../protocol/net/cidr.js';
import { ADDRESS_BITS, compareIPs, formatIP, type IPAddress, parseIP } from '../../../../protocol/net/ip.js';
import { quote } from '../../../../protocol/ports/port-text.js';
import { ContainerError } from '../../errors.js';

/** A subnet that cannot be used. The message is a single line. */
export class SubnetError extends ContainerError {
  override name = 'SubnetError';
}

/**
 * Parses a subnet in CIDR notation, without host bits.
 * @throws SubnetError
 */
export function parseSubnet(text: string): Subnet {
  const { subnet, address } = parse(text);
  if (address.value !== subnet.first) {
    throw new SubnetError(`unexpected subnet ${text}, did you mean ${formatSubnet(subnet)}?`);
  }
  return subnet;
}

/** Blocks whose addresses containers cannot have, with the reasons (RFC 6890 and its registry). */
const RESERVED: readonly (readonly [subnet: string, purpose: string])[] = [
  ['0.0.0.0/8', 'means "this network"'],
  ['127.0.0.0/8', 'is for loopback'],
  ['169.254.0.0/16', 'is for link-local addresses'],
  ['224.0.0.0/4', 'is for multicast'],
  ['240.0.0.0/4', 'is reserved'],
  ['::/96', 'holds the unspecified and the loopback address'],
  ['fe80::/10', 'is for link-local addresses'],
  ['ff00::/8', 'is for multicast'],
];

/**
 * Like parseSubnet(), for a new network: containers have to be able to use its addresses.
 * @throws SubnetError
 */
export function parseNetworkSubnet(text: string): Subnet {
  const subnet = parseSubnet(text);
  for (const [block, purpose] of RESERVED) {
    if (intersect(subnet, parseSubnet(block))) {
      throw new SubnetError(
        `invalid subnet ${text}: ${block} ${purpose}; hint: use a private one such as 10.4.1.0/24 or fd00:1::/64`,
      );
    }
  }
  return subnet;
}

/**
 * Whether two subnets have an address in common. Host bits are ignored, so that the address of an interface
 * (`10.4.0.1/24`) can be compared.
 * @throws SubnetError if one of them is not in CIDR notation
 */
export function overlaps(a: string, b: string): boolean {
  return intersect(parse(a).subnet, parse(b).subnet);
}

/**
 * Parses an address of a subnet, the network and broadcast addresses included.
 * @param what its name in messages
 * @throws SubnetError
 */
export function addressIn(subnet: Subnet, text: string, what: string): IPAddress {
  const address = parseIP(text);
  if (!address) throw new SubnetError(`the ${what} ${quote(text)} is not an IP address`);
  if (!includes(subnet, address)) {
    throw new SubnetError(`the ${what} ${text} is not in the subnet ${formatSubnet(subnet)}`);
  }
  return address;
}

/**
 * Parses an address of a subnet that a host can have; in canonical notation.
 * @param what its name in messages
 * @throws SubnetError
 */
export function hostIn(subnet: string, text: string, what: string): string {
  const parsed = parseSubnet(subnet);
  const address = addressIn(parsed, text, what);
  if (address.value === parsed.first) throw new SubnetError(`the ${what} ${text} is the network address of ${subnet}`);
  if (address.value > lastHostOf(parsed)) {
    throw new SubnetError(`the ${what} ${text} is the broadcast address of ${subnet}`);
  }
  return formatIP(address);
}

/**
 * The first subnet of the same size from `base` on that does not overlap the used ones (in CIDR notation, with or without
 * host bits); see nextFreeSubnet().
 * @throws SubnetError
 */
export function firstFreeSubnet(base = '10.4.0.0/24', used: readonly string[] = []): string {
  const from = parseSubnet(base);
  if (!privateBlock(from)) {
    throw new SubnetError(`cannot search for a free subnet from ${base} on: it is not in a private block`);
  }
  const taken = used.map((text) => parse(text).subnet);
  const free = nextFreeSubnet(from, taken);
  if (!free) {
    throw new SubnetError(
      `could not find a free subnet from ${base} on, nor in 172.16.0.0/12 and 192.168.0.0/16; hint: give one with --subnet`,
    );
  }
  return formatSubnet(free);
}

/**
 * A unique local /64 of IPv6, the same for the same seed. The 40 bits of the global ID come from a hash, similar to RFC
 * 4193, section 3.2.2; so do the 16 bits of the subnet, as networks are independent of each other.
 */
export function ulaSubnet(seed: string): string {
  const hash = createHash('sha256').update(seed).digest('hex');
  const value = BigInt(`0xfd${hash.slice(0, 14)}`) << 64n;
  return formatSubnet(subnetAround({ family: 6, value }, 64));
}

/**
 * The first host address, the default of gateways.
 * @throws SubnetError also where the subnet has fewer than two host addresses
 */
export function firstHost(subnet: string): string {
  const { family, first } = requireRoom(parseSubnet(subnet));
  return formatIP({ family, value: first + 1n });
}

/**
 * The last host address: the one before the broadcast address, which IPv6 does not have.
 * @throws SubnetError also where the subnet has fewer than two host addresses
 */
export function lastHost(subnet: string): string {
  const parsed = requireRoom(parseSubnet(subnet));
  return formatIP({ family: parsed.family, value: lastHostOf(parsed) });
}

export interface RangesOptions {
  subnet: string;
  gateway: string;
  /** The part of the subnet for containers, in CIDR notation; all of it unless given. */
  ipRange?: string;
  /** Addresses of other hosts in the subnet. */
  auxAddresses: readonly string[];
}

export interface AddressRange {
  rangeStart: string;
  rangeEnd: string;
}

/**
 * The addresses of a network for containers, without those of other hosts, as ranges of the IPAM plugin host-local, which
 * are inclusive. The gateway may be in a range: it is skipped when addresses are assigned.
 * @throws SubnetError
 */
export function ranges({ subnet, gateway, ipRange, auxAddresses }: RangesOptions): AddressRange[] {
  const whole = requireRoom(parseSubnet(subnet));
  addressIn(whole, gateway, 'gateway');
  let start = whole.first + 1n;
  let end = lastHostOf(whole);
  if (ipRange !== undefined) {
    const part = parseSubnet(ipRange);
    if (part.prefix < whole.prefix || !intersect(part, whole)) {
      throw new SubnetError(`the IP range ${ipRange} is not within the subnet ${subnet}`);
    }
    if (part.first > start) start = part.first;
    if (part.last < end) end = part.last;
  }
  const found: AddressRange[] = [];
  const add = (from: bigint, to: bigint): void => {
    if (from > to) return;
    const { family } = whole;
    found.push({ rangeStart: formatIP({ family, value: from }), rangeEnd: formatIP({ family, value: to }) });
  };
  for (const { value } of auxAddresses.map((text) => addressIn(whole, text, 'auxiliary address')).sort(compareIPs)) {
    if (value < start || value > end) continue;
    add(start, value - 1n);
    start = value + 1n;
  }
  add(start, end);
  if (found.length === 0) {
    throw new SubnetError(`the subnet ${subnet} has no address left for containers; make it or its IP range larger`);
  }
  return found;
}

function parse(text: string): { subnet: Subnet; address: IPAddress } {
  const parsed = parseCIDR(text);
  if (parsed) return parsed;
  throw new SubnetError(`invalid subnet ${quote(text)}: expected CIDR notation such as 10.4.1.0/24 or fd00:1::/64`);
}

/** Requires addresses for a gateway and a container. host-local refuses the same subnets. Throws SubnetError. */
function requireRoom(subnet: Subnet): Subnet {
  if (subnet.prefix > ADDRESS_BITS[subnet.family] - 2) {
    throw new SubnetError(`the subnet ${formatSubnet(subnet)} is too small: it needs at least two host addresses`);
  }
  return subnet;
}

function lastHostOf({ family, last }: Subnet): bigint {
  return family === 4 ? last - 1n : last;
}
