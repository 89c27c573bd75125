/** Networks that our own must not overlap: those that the host has routes to, its DNS servers, and the stack's network. */
import { readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import type { NetworkDriverInfo } from '../../../protocol/api/types.js';
import { formatSubnet, intersect, parseCIDR, type Subnet } from '../../../protocol/net/cidr.js';
import type { HostNetwork } from '../../../protocol/wire/messages.js';
import { hostRoutes } from './routes.js';

/** As many as fit a message to the agent; hosts with more are routers. */
const MAX_NETWORKS = 1000;
const RESOLV_CONF = ['/etc/resolv.conf', '/run/systemd/resolve/resolv.conf'];
/** Network of builtin and slirp4netns over IPv6. */
export const USER_MODE_IPV6 = 'fd00::/64';

/** The host's networks, the most specific first. Throws NetlinkError, and system errors where no socket can be made. */
export function hostNetworks(): HostNetwork[] {
  return bounded([...hostRoutes(), ...resolvers()]);
}

/** The network of a running stack itself, in its namespace. */
export function stackNetworks(info: NetworkDriverInfo | undefined): HostNetwork[] {
  if (info?.childIP === undefined || info.prefix === undefined) return [];
  const own = parseCIDR(`${info.childIP}/${info.prefix}`)?.subnet;
  const subnets = [
    ...(own ? [formatSubnet(own)] : []),
    ...((info.driver === 'builtin' || info.driver === 'slirp4netns') && info.ipv6 ? [USER_MODE_IPV6] : []),
  ];
  return subnets.map((subnet) => ({ subnet, what: `the stack's own network ${subnet} (${info.driver})`, own: true }));
}

/** The first of them that shares an address with the subnet; subnets are in CIDR notation. */
export function collisionWith(subnet: string, networks: readonly HostNetwork[]): HostNetwork | undefined {
  const wanted = parseCIDR(subnet)?.subnet;
  return wanted && networks.find((network) => isHit(wanted, network));
}

function isHit(wanted: Subnet, network: HostNetwork): boolean {
  // Parsing the first IPv6 address takes milliseconds (see UNUSABLE in routes.ts), and most starts need none.
  if (wanted.family === 4 && network.subnet.includes(':')) return false;
  const other = parseCIDR(network.subnet)?.subnet;
  return other !== undefined && intersect(wanted, other);
}

function resolvers(): HostNetwork[] {
  const named = RESOLV_CONF.flatMap((path) => [...read(path).matchAll(/^\s*nameserver\s+(\S+)/gm)]);
  const addresses = new Set(named.map(([, ip = '']) => ip).filter((ip) => isIP(ip) !== 0 && !ip.includes('%')));
  return [...addresses]
    .filter((ip) => !/^(127\.|0\.0\.0\.0$|::1?$|fe80:)/i.test(ip))
    .map((ip) => ({ subnet: `${ip}/${isIP(ip) === 4 ? 32 : 128}`, what: `the host's resolver ${ip}` }));
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

/** Where there are too many, the largest, which may contain the others. */
function bounded(networks: readonly HostNetwork[]): HostNetwork[] {
  if (networks.length <= MAX_NETWORKS) return [...networks];
  return networks.toReversed().slice(0, MAX_NETWORKS);
}
