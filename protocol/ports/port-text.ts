import { isIP, isIPv4, isIPv6, SocketAddress } from 'node:net';

/**
 * What the grammars of published ports have in common: fields between colons, ports and ranges of them, literal
 * addresses. Each grammar has an error of its own, and hands in what throws it.
 */

export const MAX_PORT = 65535;
/** How much of a user's text a message quotes. */
const MAX_QUOTED = 100;

/** Throws the error of the grammar, with the problem in it. */
export type Fail = (problem: string) => never;

export interface Field {
  text: string;
  bracketed: boolean;
}

/** Takes what follows the last slash off, a protocol; undefined without one. */
export function splitSlash(text: string): [ports: string, protocol: string | undefined] {
  const slash = text.lastIndexOf('/');
  return slash < 0 ? [text, undefined] : [text.slice(0, slash), text.slice(slash + 1)];
}

/** Splits at colons that are not in brackets, and takes the brackets off. */
export function splitFields(text: string, fail: Fail): Field[] {
  const fields: Field[] = [];
  let rest = text;
  for (;;) {
    const bracketed = /^\s*\[([^[\]]*)\]\s*(?=:|$)/.exec(rest);
    const match = bracketed ?? /^[^:[\]]*/.exec(rest);
    if (!match) return fail(`unexpected ${quote(rest.slice(0, 1))}`);
    fields.push({ text: (bracketed?.[1] ?? match[0]).trim(), bracketed: bracketed !== null });
    rest = rest.slice(match[0].length);
    if (rest === '') return fields;
    if (!rest.startsWith(':')) fail(`unexpected ${quote(rest.slice(0, 1))}, brackets belong around an IPv6 address`);
    rest = rest.slice(1);
  }
}

/** Digits, or two numbers of digits with a dash between them. Whether they are ports is checked with the spec. */
export function parseRange(text: string, what: string, fail: Fail): { first: number; count: number } {
  const match = /^(\d{1,9})(?:\s*-\s*(\d{1,9}))?$/.exec(text);
  if (!match) return fail(text === '' ? `no ${what}` : `${what} ${quote(text)} is not a number`);
  const first = Number(match[1]);
  const last = match[2] === undefined ? first : Number(match[2]);
  if (last < first) fail(`${what}s ${quote(text)} are reversed`);
  if (last > MAX_PORT) fail(`${what} ${last} is larger than ${MAX_PORT}`);
  return { first, count: last - first + 1 };
}

export function checkPort(port: number, what: string, least: number, fail: Fail): void {
  if (!Number.isInteger(port) || port < least || port > MAX_PORT) {
    fail(`${what} ${port} is not between ${least} and ${MAX_PORT}`);
  }
}

export interface Address {
  family: 4 | 6;
  unspecified: boolean;
}

/**
 * Literal addresses only, as inet_pton(3) reads them: no host names, no zones, no octal or shortened forms.
 * An IPv4 address inside IPv6 (`::ffff:127.0.0.1`) counts as IPv4, because that is what it reaches. Multicast and broadcast
 * addresses are refused: nothing arrives at them unless the socket joins a group, and answers cannot leave from them. So are
 * link-local ones of IPv6, which name nothing without a zone (RFC 4007, section 6).
 */
export function checkAddress(text: string, what: string, fail: Fail): Address {
  const version = isIP(text);
  if (version === 0) return fail(`${what} ${quote(text)} is not an IP address`);
  if (text.includes('%')) return fail(`${what} ${quote(text)} has a zone, which is not supported`);
  const plain = plainAddress(text);
  if (/^fe[89ab]/i.test(plain)) fail(`${what} ${quote(text)} is link-local: it needs a zone, which is not supported`);
  const kind = groupKind(plain);
  if (kind !== undefined) fail(`${what} ${quote(text)} is a ${kind} address; only unicast addresses can be used`);
  return { family: isIPv4(plain) ? 4 : 6, unspecified: version === 4 ? plain === '0.0.0.0' : plain === '::' };
}

/** An address in its usual form, and an IPv4 address inside IPv6 (`::ffff:127.0.0.1`, RFC 4291, 2.5.5.2) as IPv4. */
export function plainAddress(text: string): string {
  // Most are not, and a colon is found sooner than that they match no address.
  if (!text.includes(':') || !isIPv6(text)) return text;
  const canonical = new SocketAddress({ address: text, family: 'ipv6' }).address;
  return canonical.startsWith('::ffff:') && canonical.includes('.') ? canonical.slice('::ffff:'.length) : canonical;
}

function groupKind(plain: string): 'multicast' | 'broadcast' | undefined {
  if (plain === '255.255.255.255') return 'broadcast';
  const multicast = isIPv4(plain) ? /^2(2[4-9]|3\d)\./ : /^ff/i;
  return multicast.test(plain) ? 'multicast' : undefined;
}

export function bracket(address: string): string {
  return address.includes(':') ? `[${address}]` : address;
}

/** Quoted so that blanks and line breaks show, and short enough for one line. */
export function quote(text: string): string {
  return JSON.stringify(text.length > MAX_QUOTED ? `${text.slice(0, MAX_QUOTED)}…` : text);
}

export function plural(count: number): string {
  return count === 1 ? '' : 's';
}
