/** The subnets of container networks, IPv4 and IPv6: which are free, and which addresses of them containers get. */

import { createHash } from 'node:crypto';
import { quote } from '../../protocol/port-text.js';
import { ContainerError } from './errors.js';
import { ADDRESS_BITS, compareIPs, formatIP, type IPAddress, parseIP } from './ip-address.js';

/** A subnet that cannot be used. The message is one complete line. */
export class SubnetError extends ContainerError {
  override name = 'SubnetError';
}

/** All addresses with the same first `prefix` bits. */
export interface Subnet {
  family: 4 | 6;
  prefix: number;
  /** The network address. */
  first: bigint;
  /** Of IPv4 the broadcast address. */
  last: bigint;
}

/** Where the search for free subnets ends, and has to begin: the largest of the private blocks (RFC 1918). */
const SEARCHED = '10.0.0.0/8';

/**
 * Reads a subnet in CIDR notation, with no bits set behind the prefix.
 * @throws SubnetError
 */
export function parseSubnet(text: string): Subnet {
  const { subnet, address } = parseCIDR(text);
  if (address.value !== subnet.first) {
    throw new SubnetError(`unexpected subnet ${text}, did you mean ${formatSubnet(subnet)}?`);
  }
  return subnet;
}

export function formatSubnet(subnet: Subnet): string {
  return `${formatIP({ family: subnet.family, value: subnet.first })}/${subnet.prefix}`;
}

/**
 * Whether two subnets have an address in common. Bits behind the prefix do not matter, so that what an interface has
 * (`10.4.0.1/24`) can be compared.
 * @throws SubnetError if one of them is no subnet
 */
export function overlaps(a: string, b: string): boolean {
  return intersect(parseCIDR(a).subnet, parseCIDR(b).subnet);
}

/**
 * Whether an address is in a subnet, the network and broadcast addresses included; what is no address is in none.
 * @throws SubnetError if the subnet is none
 */
export function contains(subnet: string, ip: string): boolean {
  const address = parseIP(ip);
  return address !== undefined && includes(parseCIDR(subnet).subnet, address);
}

export function includes(subnet: Subnet, { family, value }: IPAddress): boolean {
  return family === subnet.family && subnet.first <= value && value <= subnet.last;
}

/**
 * An address of a subnet, the network and broadcast addresses included.
 * @param what how messages call it
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
 * An address of a subnet that a host can have, in its one form.
 * @param what how messages call it
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
 * The first subnet from `base` on, and as large as that, which shares no address with those that are used (in CIDR
 * notation; addresses of interfaces will do). The last one tried is 10.255.255.0/24.
 * @throws SubnetError
 */
export function firstFreeSubnet(base = '10.4.0.0/24', used: readonly string[] = []): string {
  const block = parseSubnet(SEARCHED);
  let candidate = parseSubnet(base);
  if (!intersect(candidate, block) || candidate.prefix < block.prefix) {
    throw new SubnetError(`cannot look for a free subnet from ${base} on: it is not in ${SEARCHED}`);
  }
  const taken = used.map((text) => parseCIDR(text).subnet);
  for (;;) {
    const hit = taken.find((subnet) => intersect(subnet, candidate));
    if (!hit) return formatSubnet(candidate);
    let next = candidate.last + 1n;
    // The candidates in the rest of a larger one need not be tried.
    if (hit.last >= next) next = hit.last + 1n;
    if (next > block.last) {
      throw new SubnetError(`could not find free subnet from ${base} to the end of ${SEARCHED}; give one`);
    }
    candidate = subnetAround({ family: candidate.family, value: next }, candidate.prefix);
  }
}

/**
 * A /64 of IPv6 for use at this site only, the same for the same seed. RFC 4193, section 3.2.2 makes the 40 bits of the
 * global ID from a hash in a like way; the 16 bits of the subnet come from it too, as each network is on its own.
 */
export function ulaSubnet(seed: string): string {
  const hash = createHash('sha256').update(seed).digest('hex');
  const value = BigInt(`0xfd${hash.slice(0, 14)}`) << 64n;
  return formatSubnet(subnetAround({ family: 6, value }, 64));
}

/**
 * The first address for hosts, which gateways have unless told otherwise.
 * @throws SubnetError also where the subnet has no two addresses for hosts
 */
export function firstHost(subnet: string): string {
  const { family, first } = roomy(parseSubnet(subnet));
  return formatIP({ family, value: first + 1n });
}

/**
 * The last address for hosts: the one before the broadcast address, which IPv6 does not have.
 * @throws SubnetError also where the subnet has no two addresses for hosts
 */
export function lastHost(subnet: string): string {
  const parsed = roomy(parseSubnet(subnet));
  return formatIP({ family: parsed.family, value: lastHostOf(parsed) });
}

export interface RangesOptions {
  subnet: string;
  gateway: string;
  /** The part of the subnet that containers get addresses of, in CIDR notation; all of it unless given. */
  ipRange?: string;
  /** Addresses that other hosts of the subnet have. */
  auxAddresses: readonly string[];
}

export interface AddressRange {
  rangeStart: string;
  rangeEnd: string;
}

/**
 * The addresses of a network for containers, without those of other hosts, as ranges of the IPAM plugin host-local,
 * both ends included. The gateway may be in a range: it is left out when addresses are given away.
 * @throws SubnetError
 */
export function ranges({ subnet, gateway, ipRange, auxAddresses }: RangesOptions): AddressRange[] {
  const whole = roomy(parseSubnet(subnet));
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

function parseCIDR(text: string): { subnet: Subnet; address: IPAddress } {
  const [, ip = '', bits = ''] = /^([^/]*)\/(\d{1,3})$/.exec(text) ?? [];
  const address = parseIP(ip);
  const prefix = Number(bits);
  if (!address || prefix > ADDRESS_BITS[address.family]) {
    throw new SubnetError(`failed to parse subnet ${quote(text)}, it must be like 10.4.1.0/24 or fd00:1::/64`);
  }
  return { subnet: subnetAround(address, prefix), address };
}

function subnetAround({ family, value }: IPAddress, prefix: number): Subnet {
  const hostBits = BigInt(ADDRESS_BITS[family] - prefix);
  const first = (value >> hostBits) << hostBits;
  return { family, prefix, first, last: first + (1n << hostBits) - 1n };
}

function intersect(a: Subnet, b: Subnet): boolean {
  return a.family === b.family && a.first <= b.last && b.first <= a.last;
}

/** A gateway and a container need an address each. host-local refuses the same subnets. */
function roomy(subnet: Subnet): Subnet {
  if (subnet.prefix > ADDRESS_BITS[subnet.family] - 2) {
    throw new SubnetError(`the subnet ${formatSubnet(subnet)} is too small, it needs two addresses for hosts at least`);
  }
  return subnet;
}

function lastHostOf({ family, last }: Subnet): bigint {
  return family === 4 ? last - 1n : last;
}
