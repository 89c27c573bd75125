/** The resolv.conf(5) of containers. */

import { isIP } from 'node:net';
import ipaddr from 'ipaddr.js';
import { quote } from '../../../../protocol/ports/port-text.js';
import { ContainerError } from '../../errors.js';

/** The settings of a resolv.conf. */
export interface ResolvConf {
  /** Addresses; those of IPv6 may have a zone. */
  nameservers: string[];
  search: string[];
  options: string[];
}

/** The families in which the outside is reachable. */
export interface Reach {
  v4: boolean;
  v6: boolean;
}

export interface ContainerResolvConfOptions {
  /** The DNS server of one of the container's networks, which asks the servers of `dns` or the host's for what it does not know. */
  own?: string | undefined;
  /** Whether the container is on a network or has none. */
  mode: 'bridge' | 'none';
  /** Text of the host's resolv.conf, see hostResolvConf(); "" if there is none. */
  host: string;
  /** Which DNS servers the container can reach on its networks. */
  reach: Reach;
  /** DNS servers of the network, used if those of the host cannot be reached from it. */
  fallback: readonly string[];
  /** Whether only these resolve what an egress policy allows. */
  policed?: boolean;
  /** The user's DNS servers, search list and options; each replaces that of the host unless it is empty. */
  dns: readonly string[];
  search: readonly string[];
  options: readonly string[];
}

/** A setting of the user is invalid in resolv.conf. The message is a single line. */
export class ResolvConfError extends ContainerError {
  override name = 'ResolvConfError';
}

/** The address of systemd-resolved; systemd-resolved.service(8). */
const RESOLVED_STUB = '127.0.0.53';

/**
 * Parses resolv.conf(5) like the C library: of several search or domain lines the last one is used, options accumulate,
 * and invalid nameservers are ignored.
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
 * The host's resolv.conf with the actual DNS servers: that of systemd-resolved where /etc/resolv.conf contains only its
 * stub, which only the host can reach.
 * @param etcText text of /etc/resolv.conf
 * @param resolvedText text of /run/systemd/resolve/resolv.conf, where that exists
 */
export function hostResolvConf(etcText: string, resolvedText?: string): string {
  const { nameservers } = parseResolvConf(etcText);
  const isStub = nameservers.length > 0 && nameservers.every((nameserver) => nameserver === RESOLVED_STUB);
  return isStub && resolvedText !== undefined ? resolvedText : etcText;
}

/**
 * The text of a container's resolv.conf: the user's settings; for those that are not given, the host's, as far as they
 * are usable on the container's networks.
 * @throws ResolvConfError
 */
export function containerResolvConf({
  own,
  mode,
  host,
  reach,
  fallback,
  policed = false,
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
  // "." disables the search list, as in Docker.
  const isNone = domains.every((domain) => domain === '.');
  const usable = policed ? [] : hosts.nameservers;
  const servers = orElse(dns, mode === 'bridge' ? reachable(usable, fallback, reach) : hosts.nameservers);
  return [
    ...line('search', isNone ? [] : domains),
    ...(own === undefined ? servers : [own]).flatMap((ip) => line('nameserver', [ip])),
    ...line('options', orElse(options, hosts.options)),
  ].join('');
}

/** Empty where the outside is unreachable: without DNS servers, lookups fail at once (resolv.conf(5)). */
function reachable(nameservers: readonly string[], fallback: readonly string[], reach: Reach): readonly string[] {
  const isOfFamily = (nameserver: string) => (ipaddr.process(nameserver).kind() === 'ipv4' ? reach.v4 : reach.v6);
  const isUseful = (nameserver: string) => !staysOnHost(nameserver) && isOfFamily(nameserver);
  return orElse(nameservers.filter(isUseful), fallback.filter(isOfFamily));
}

/**
 * The host's loopback, including 0.0.0.0, and addresses that require an interface of the host. Link-local IPv4 is reachable
 * through the host: clouds have their DNS servers there.
 */
function staysOnHost(nameserver: string): boolean {
  if (nameserver.includes('%')) return true;
  const address = ipaddr.process(nameserver);
  const range = address.range();
  return range === 'loopback' || range === 'unspecified' || (range === 'linkLocal' && address.kind() === 'ipv6');
}

function orElse<T>(list: readonly T[], other: readonly T[]): readonly T[] {
  return list.length > 0 ? list : other;
}

function line(keyword: string, values: readonly string[]): string[] {
  return values.length > 0 ? [`${keyword} ${values.join(' ')}\n`] : [];
}

/** A line break in a word would start a new line in the file. Throws ResolvConfError. */
function checkWords(what: string, words: readonly string[]): void {
  const wrong = words.find((word) => !/^\S+$/.test(word));
  if (wrong !== undefined) throw new ResolvConfError(`${what} ${quote(wrong)} must not be empty or contain blanks`);
}
