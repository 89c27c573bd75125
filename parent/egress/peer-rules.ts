/** Rules for the datagrams of tunnels to other hosts. */
import ipaddr from 'ipaddr.js';
import type { EgressRule } from '../../protocol/egress/rule.js';
import { subnetAround } from '../../protocol/net/cidr.js';
import { ADDRESS_BITS, parseIP } from '../../protocol/net/ip.js';

/** Where the other end of a tunnel is. */
export interface PeerEndpoint {
  address: string;
  port: number;
}

/** Below are services of systems, such as DNS, which an endpoint must not open. */
const FIRST_PORT = 1024;
/** Never another host's, or one at which a cloud serves credentials (native/src/policy/rules/special_ranges.cc). */
const METADATA: readonly string[] = [
  '100.100.100.200',
  '168.63.129.16',
  '192.0.0.192',
  'fd00:ec2::254',
  'fd20:ce::254',
];
const OTHER_RANGES: readonly string[] = [
  ...['unspecified', 'broadcast', 'multicast', 'linkLocal', 'loopback'],
  // With an address of IPv4 in them.
  ...['rfc6052', 'rfc6145', '6to4', 'teredo'],
];

/** The rules that allow them, each endpoint once, in an order that does not depend on theirs. */
export function peerRules(peers: readonly PeerEndpoint[]): EgressRule[] {
  const rules = new Map<string, EgressRule>();
  for (const { address, port } of peers) {
    const ip = parseIP(address);
    if (!ip || port < FIRST_PORT || !isOfHost(address)) continue;
    const place = { kind: 'network', subnet: subnetAround(ip, ADDRESS_BITS[ip.family]) } as const;
    const target = { kind: 'place', protocol: 'udp', place, ports: { first: port, last: port } } as const;
    rules.set(`${address} ${port}`, { action: 'allow', target });
  }
  return [...rules].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, rule]) => rule);
}

function isOfHost(address: string): boolean {
  const parsed = ipaddr.process(address);
  return !METADATA.includes(parsed.toString()) && !OTHER_RANGES.includes(parsed.range());
}
