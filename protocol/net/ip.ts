import { isIP } from 'node:net';
import ipaddr from 'ipaddr.js';

/** An address as a number, for arithmetic and comparison. */
export interface IPAddress {
  family: 4 | 6;
  value: bigint;
}

/** How many bits an address has. */
export const ADDRESS_BITS = { 4: 32, 6: 128 } as const;

/**
 * Literal addresses only: undefined for anything else, also for addresses with a zone and for shortened or octal IPv4
 * addresses. An IPv4 address inside IPv6 (`::ffff:10.4.0.2`) is the IPv4 address, as it is for CNI plugins.
 */
export function parseIP(text: string): IPAddress | undefined {
  if (isIP(text) === 0 || text.includes('%')) return undefined;
  const bytes = ipaddr.process(text).toByteArray();
  return { family: bytes.length === 4 ? 4 : 6, value: bytes.reduce((value, byte) => (value << 8n) | BigInt(byte), 0n) };
}

/** The one way to write an address, RFC 5952; Go's net.IP.String() writes the same, and so CNI plugins. */
export function formatIP({ family, value }: IPAddress): string {
  const bytes = Array.from({ length: ADDRESS_BITS[family] / 8 }, (_, index) =>
    Number((value >> BigInt(ADDRESS_BITS[family] - 8 * (index + 1))) & 0xffn),
  );
  const address = ipaddr.fromByteArray(bytes);
  return 'toRFC5952String' in address ? address.toRFC5952String() : address.toString();
}

/** The family of an address, or of a subnet in CIDR notation, by its notation alone: nothing is parsed. */
export function familyOf(text: string): 4 | 6 {
  return text.includes(':') ? 6 : 4;
}

/** The first address of each family, IPv4 before IPv6. */
export function firstOfEachFamily(ips: readonly string[]): string[] {
  return ([4, 6] as const).flatMap((family) => ips.find((ip) => familyOf(ip) === family) ?? []);
}

/** In canonical notation (RFC 5952), so that texts can be compared; anything but an address is returned unchanged. */
export function canonical(text: string): string {
  const ip = parseIP(text);
  return ip ? formatIP(ip) : text;
}

/** For sorting: IPv4 first, then by number. */
export function compareIPs(a: IPAddress, b: IPAddress): number {
  if (a.family !== b.family) return a.family - b.family;
  return a.value < b.value ? -1 : a.value > b.value ? 1 : 0;
}

/** Of an address in canonical notation. */
export function isLoopback(ip: string): boolean {
  return ip === '::1' || ip.startsWith('127.');
}
