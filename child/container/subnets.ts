/** Arithmetic of subnets, in CIDR notation, IPv4 and IPv6. */
import { createHash } from 'node:crypto';
import ipaddr from 'ipaddr.js';
import { ContainerError } from './errors.js';

/** A subnet cannot be used, or there is none left. */
export class SubnetError extends ContainerError {
  override name = 'SubnetError';
}

interface Block {
  first: bigint;
  last: bigint;
  v6: boolean;
}

export function isV6(text: string): boolean {
  return text.includes(':');
}

/** An address as a number. */
export function toNumber(ip: string): bigint {
  return ipaddr
    .parse(ip)
    .toByteArray()
    .reduce((sum, byte) => (sum << 8n) | BigInt(byte), 0n);
}

/** As Go prints it, and host-local names its files (RFC 5952). */
export function toAddress(number: bigint, v6: boolean): string {
  const bytes = Array.from({ length: v6 ? 16 : 4 }, (_, index) => {
    return Number((number >> BigInt(8 * ((v6 ? 15 : 3) - index))) & 0xffn);
  });
  const address = ipaddr.fromByteArray(bytes);
  return address.kind() === 'ipv6' ? (address as ipaddr.IPv6).toRFC5952String() : address.toString();
}

/** The same address in the one form that is compared. */
export function canonical(ip: string): string {
  return toAddress(toNumber(ip), isV6(ip));
}

function block(cidr: string): Block {
  const [address, length] = ipaddr.parseCIDR(cidr);
  const v6 = address.kind() === 'ipv6';
  const size = 1n << BigInt((v6 ? 128 : 32) - length);
  const first = (toNumber(address.toString()) / size) * size;
  return { first, last: first + size - 1n, v6 };
}

/** The subnet in the form that is compared. Throws SubnetError for what is none, or has bits below its length. */
export function parseSubnet(text: string): string {
  if (!ipaddr.isValidCIDR(text)) {
    throw new SubnetError(`${JSON.stringify(text)} is not a subnet; expected one such as 10.4.1.0/24 or fd00:1::/64`);
  }
  const length = text.slice(text.indexOf('/') + 1);
  const { first, v6 } = block(text);
  const subnet = `${toAddress(first, v6)}/${length}`;
  if (toNumber(text.slice(0, text.indexOf('/'))) !== first) {
    throw new SubnetError(`unexpected subnet ${text}; did you mean ${subnet}?`);
  }
  if (Number(length) > (v6 ? 126 : 30)) throw new SubnetError(`the subnet ${text} has no room for containers; use a larger one`);
  return subnet;
}

export function overlaps(a: string, b: string): boolean {
  const [one, other] = [block(a), block(b)];
  return one.v6 === other.v6 && one.first <= other.last && other.first <= one.last;
}

export function contains(subnet: string, ip: string): boolean {
  const { first, last, v6 } = block(subnet);
  return v6 === isV6(ip) && first <= toNumber(ip) && toNumber(ip) <= last;
}

export function prefixLength(subnet: string): string {
  return subnet.slice(subnet.indexOf('/') + 1);
}

/** The first address that a host can have. */
export function firstHost(subnet: string): string {
  const { first, v6 } = block(subnet);
  return toAddress(first + 1n, v6);
}

/** The last one; that of IPv4 is before the broadcast address. */
export function lastHost(subnet: string): string {
  const { last, v6 } = block(subnet);
  return toAddress(v6 ? last : last - 1n, v6);
}

/** First /24 from `base` on that none of the others overlaps. Throws SubnetError. */
export function firstFreeSubnet(base: string, used: readonly string[]): string {
  const blocks = used.filter((cidr) => !isV6(cidr) && prefixLength(cidr) !== '0');
  const start = block(base).first;
  for (let first = start; first < toNumber('11.0.0.0'); first += 256n) {
    const subnet = `${toAddress(first, false)}/24`;
    if (!blocks.some((other) => overlaps(subnet, other))) return subnet;
  }
  throw new SubnetError(`could not find a free subnet from ${base} on; name one with --subnet`);
}

/** A unique local /64 that follows from the seed (RFC 4193). */
export function ulaSubnet(seed: string): string {
  const hash = createHash('sha256').update(seed).digest();
  const bytes = [0xfd, ...hash.subarray(0, 5), ...hash.subarray(5, 7), 0, 0, 0, 0, 0, 0, 0, 0];
  return `${(ipaddr.fromByteArray(bytes) as ipaddr.IPv6).toRFC5952String()}/64`;
}

/** What of a subnet is given to containers: its hosts or a part of it, without some addresses. Throws SubnetError. */
export function allocationRanges(
  subnet: string,
  ipRange: string | undefined,
  excluded: readonly string[],
): { rangeStart: string; rangeEnd: string }[] {
  const { v6 } = block(subnet);
  let [first, last] = [toNumber(firstHost(subnet)), toNumber(lastHost(subnet))];
  if (ipRange !== undefined) {
    const part = block(ipRange);
    if (part.first > first) first = part.first;
    if (part.last < last) last = part.last;
  }
  const ranges: { rangeStart: string; rangeEnd: string }[] = [];
  for (const number of excluded.map(toNumber).sort((a, b) => (a < b ? -1 : 1))) {
    if (number < first || number > last) continue;
    if (number > first) ranges.push({ rangeStart: toAddress(first, v6), rangeEnd: toAddress(number - 1n, v6) });
    first = number + 1n;
  }
  if (first <= last) ranges.push({ rangeStart: toAddress(first, v6), rangeEnd: toAddress(last, v6) });
  if (ranges.length === 0) throw new SubnetError(`no address is left in ${ipRange ?? subnet}`);
  return ranges;
}
