/** A container's /etc/resolv.conf (resolv.conf(5)). */
import { isIP } from 'node:net';

export interface ResolvConf {
  nameservers: string[];
  search: string[];
  options: string[];
}

export interface ResolvConfRequest {
  /** Whether the container has a loopback of its own, where the host's resolvers are not. */
  ownLoopback: boolean;
  /** Text of the host's file. */
  host: string;
  /** Resolvers of the stack's network, for where the host has none that a container can reach. */
  fallback: readonly string[];
  /** What the user asked for takes the place of what the host has. */
  dns: readonly string[];
  search: readonly string[];
  options: readonly string[];
}

export function parseResolvConf(text: string): ResolvConf {
  const found: ResolvConf = { nameservers: [], search: [], options: [] };
  for (const line of text.split('\n')) {
    const [keyword, ...words] = line
      .replace(/[#;].*$/, '')
      .trim()
      .split(/\s+/);
    if (keyword === 'nameserver' && words[0]) found.nameservers.push(words[0]);
    // Of several, the last one counts.
    if (keyword === 'search' || keyword === 'domain') found.search = words;
    if (keyword === 'options') found.options.push(...words);
  }
  return found;
}

/** systemd-resolved's own file where the host's leads to its stub only. */
export function chooseHostFile(etc: string, resolved: string | undefined): string {
  const { nameservers } = parseResolvConf(etc);
  const stub = nameservers.length > 0 && nameservers.every((ip) => ip === '127.0.0.53' || ip === '127.0.0.54');
  return stub && resolved !== undefined ? resolved : etc;
}

export function containerResolvConf(request: ResolvConfRequest): string {
  const host = parseResolvConf(request.host);
  const search = request.search.length > 0 ? request.search : host.search;
  const options = request.options.length > 0 ? request.options : host.options;
  const lines = [
    ...(search.length > 0 && !search.includes('.') ? [`search ${search.join(' ')}`] : []),
    ...nameservers(request, host).map((ip) => `nameserver ${ip}`),
    ...(options.length > 0 ? [`options ${options.join(' ')}`] : []),
  ];
  return lines.map((line) => `${line}\n`).join('');
}

function nameservers({ dns, ownLoopback, fallback }: ResolvConfRequest, host: ResolvConf): readonly string[] {
  if (dns.length > 0) return dns;
  if (!ownLoopback) return host.nameservers;
  const reachable = host.nameservers.filter(isReachable);
  return reachable.length > 0 ? reachable : fallback;
}

/** From another network namespace. Link-local addresses with a zone name a device that is not there. */
function isReachable(ip: string): boolean {
  return isIP(ip) !== 0 && !ip.startsWith('127.') && ip !== '::1' && !ip.includes('%');
}
