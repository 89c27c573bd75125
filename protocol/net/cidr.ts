/** Subnets: CIDR notation, arithmetic on them as ranges of numbers, and the search for a free one. */
import { ADDRESS_BITS, familyOf, formatIP, type IPAddress, parseIP } from './ip.js';

/** All addresses with the same first `prefix` bits. */
export interface Subnet {
  family: 4 | 6;
  prefix: number;
  /** The network address. */
  first: bigint;
  /** Of IPv4 the broadcast address. */
  last: bigint;
}

/** The private blocks (RFC 1918), in the order in which they are searched, the largest first. */
const PRIVATE = (() => {
  let blocks: Subnet[] | undefined;
  return () => {
    blocks ??= ['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16'].flatMap((text) => parseCIDR(text)?.subnet ?? []);
    return blocks;
  };
})();

/** What stands in CIDR notation, bits behind the prefix included; undefined for anything else. */
export function parseCIDR(text: string): { subnet: Subnet; address: IPAddress } | undefined {
  const [, ip = '', bits = ''] = /^([^/]*)\/(\d{1,3})$/.exec(text) ?? [];
  const address = parseIP(ip);
  const prefix = Number(bits);
  if (!address || prefix > ADDRESS_BITS[address.family]) return undefined;
  return { subnet: subnetAround(address, prefix), address };
}

export function formatSubnet({ family, first, prefix }: Subnet): string {
  return `${formatIP({ family, value: first })}/${prefix}`;
}

export function subnetAround({ family, value }: IPAddress, prefix: number): Subnet {
  const hostBits = BigInt(ADDRESS_BITS[family] - prefix);
  const first = (value >> hostBits) << hostBits;
  return { family, prefix, first, last: first + (1n << hostBits) - 1n };
}

/** The address of CIDR notation: `10.4.0.2` of `10.4.0.2/24`; an address alone stays as it is. */
export function addressOf(cidr: string): string {
  return cidr.replace(/\/.*$/, '');
}

/** The destination of the default route of the family that an address or subnet belongs to. */
export function defaultRouteOf(text: string): '0.0.0.0/0' | '::/0' {
  return familyOf(text) === 6 ? '::/0' : '0.0.0.0/0';
}

/** Whether a subnet contains an address; its network and broadcast addresses count. */
export function includes(subnet: Subnet, { family, value }: IPAddress): boolean {
  return family === subnet.family && subnet.first <= value && value <= subnet.last;
}

/** The same for texts, the subnet in CIDR notation; false where either of them cannot be parsed. */
export function cidrContains(cidr: string, ip: string): boolean {
  const subnet = parseCIDR(cidr)?.subnet;
  const address = parseIP(ip);
  return subnet !== undefined && address !== undefined && includes(subnet, address);
}

/** Whether two subnets have an address in common. */
export function intersect(a: Subnet, b: Subnet): boolean {
  return a.family === b.family && a.first <= b.last && b.first <= a.last;
}

/** The private block that a subnet lies in. */
export function privateBlock(subnet: Subnet): Subnet | undefined {
  return PRIVATE().find((block) => intersect(block, subnet) && block.prefix <= subnet.prefix);
}

/**
 * The first subnet from `base` on, and as large as that, which shares no address with those that are used: up to the end of
 * the private block that `base` lies in, and then in those after it. Undefined if there is none.
 */
export function nextFreeSubnet(base: Subnet, used: readonly Subnet[]): Subnet | undefined {
  const own = privateBlock(base);
  if (!own) return undefined;
  const blocks = PRIVATE()
    .slice(PRIVATE().indexOf(own))
    .filter(({ prefix }) => prefix <= base.prefix);
  for (const block of blocks) {
    let candidate = block === own ? base : subnetAround({ family: 4, value: block.first }, base.prefix);
    for (;;) {
      const hit = used.find((subnet) => intersect(subnet, candidate));
      if (!hit) return candidate;
      let next = candidate.last + 1n;
      // The candidates in the rest of a larger one need not be tried.
      if (hit.last >= next) next = hit.last + 1n;
      if (next > block.last) break;
      candidate = subnetAround({ family: 4, value: next }, base.prefix);
    }
  }
  return undefined;
}
