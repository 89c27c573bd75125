/** The resolv.conf(5) of containers. */

import { isIP } from 'node:net';
import ipaddr from 'ipaddr.js';
import { quote } from '../../../protocol/port-text.js';
import { ContainerError } from '../errors.js';

/** What a resolv.conf says. */
export interface ResolvConf {
  /** Addresses, those of IPv6 perhaps with a zone. */
  nameservers: string[];
  search: string[];
  options: string[];
}

export interface ContainerResolvConfOptions {
  /** Whether the container has a network of its own (bridge), the host's (host), or none. */
  mode: 'bridge' | 'host' | 'none';
  /** Text of the host's resolv.conf, see hostResolvConf(); "" where there is none. */
  host: string;
  /** Resolvers that the network has, for where the host's cannot be reached from it. */
  fallback: readonly string[];
  /** The user's resolvers, search list and options; each takes the place of the host's unless it is empty. */
  dns: readonly string[];
  search: readonly string[];
  options: readonly string[];
}

/** What the user wants in resolv.conf cannot be there. The message is one complete line. */
export class ResolvConfError extends ContainerError {
  override name = 'ResolvConfError';
}

/** Where systemd-resolved listens; systemd-resolved.service(8). */
const RESOLVED_STUB = '127.0.0.53';

/**
 * Reads what the C library would: resolv.conf(5). Of several search or domain lines the last one counts, options add
 * up, and nameservers that are no addresses are passed over.
 */
export function parseResolvConf(text: string): ResolvConf {
  const conf: ResolvConf = { nameservers: [], search: [], options: [] };
  for (const line of text.split('\n')) {
    const [keyword, ...values] = line.trim().split(/\s+/);
    const [first] = values;
    if (first === undefined) continue;
    if (keyword === 'nameserver' && isIP(first) !== 0) conf.nameservers.push(first);
    if (keyword === 'domain') conf.search = [first];
    if (keyword === 'search') conf.search = values;
    if (keyword === 'options') conf.options.push(...values);
  }
  return conf;
}

/**
 * The host's resolv.conf with the resolvers themselves: that of systemd-resolved where /etc/resolv.conf names nothing
 * but its stub, which only the host can reach.
 * @param etcText text of /etc/resolv.conf
 * @param resolvedText text of /run/systemd/resolve/resolv.conf, where that exists
 */
export function hostResolvConf(etcText: string, resolvedText?: string): string {
  const { nameservers } = parseResolvConf(etcText);
  const isStub = nameservers.length > 0 && nameservers.every((nameserver) => nameserver === RESOLVED_STUB);
  return isStub && resolvedText !== undefined ? resolvedText : etcText;
}

/**
 * The text of a container's resolv.conf: the user's settings, and where there are none those of the host, as far as
 * they are of use in the container's network.
 * @throws ResolvConfError
 */
export function containerResolvConf({
  mode,
  host,
  fallback,
  dns,
  search,
  options,
}: ContainerResolvConfOptions): string {
  const wrong = dns.find((ip) => isIP(ip) === 0);
  if (wrong !== undefined) {
    throw new ResolvConfError(`DNS server ${quote(wrong)} is not an IP address; give one such as 1.1.1.1`);
  }
  checkWords('DNS search domain', search);
  checkWords('DNS option', options);

  const hosts = parseResolvConf(host);
  const domains = orElse(search, hosts.search);
  // "." is the way to want no search list, as with Docker.
  const isNone = domains.every((domain) => domain === '.');
  return [
    ...line('search', isNone ? [] : domains),
    ...orElse(dns, hostNameservers(mode, hosts.nameservers, fallback)).flatMap((ip) => line('nameserver', [ip])),
    ...line('options', orElse(options, hosts.options)),
  ].join('');
}

function hostNameservers(
  mode: ContainerResolvConfOptions['mode'],
  nameservers: readonly string[],
  fallback: readonly string[],
): readonly string[] {
  return mode === 'bridge' ? orElse(nameservers.filter(isReachable), fallback) : nameservers;
}

/**
 * Not the host's loopback, of which 0.0.0.0 is another name, and not what needs an interface of the host to be reached.
 * Link-local IPv4 is reached through the host: clouds have their resolvers there.
 */
function isReachable(nameserver: string): boolean {
  if (nameserver.includes('%')) return false;
  const address = ipaddr.process(nameserver);
  const range = address.range();
  return range !== 'loopback' && range !== 'unspecified' && !(range === 'linkLocal' && address.kind() === 'ipv6');
}

function orElse<T>(list: readonly T[], other: readonly T[]): readonly T[] {
  return list.length > 0 ? list : other;
}

function line(keyword: string, values: readonly string[]): string[] {
  return values.length > 0 ? [`${keyword} ${values.join(' ')}\n`] : [];
}

/** A line break in one would be a line of its own in the file. */
function checkWords(what: string, words: readonly string[]): void {
  const wrong = words.find((word) => !/^\S+$/.test(word));
  if (wrong !== undefined) throw new ResolvConfError(`${what} ${quote(wrong)} is empty or has blanks; give it alone`);
}
