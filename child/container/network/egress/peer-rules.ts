/**
 * What the rules of a policy mean for addresses inside of the stack: containers on the same networks, and the bridges' own
 * addresses. Returns statements of nft(8) without their chain, in the order in which they decide.
 *
 * Rules that deny come first, as everywhere. A name is that of a container, as its peers' hosts files have it. `*` is every
 * public address, so it opens no network that is private; a subnet opens such a network if it is not larger than the private
 * range around it. With rules that deny only, the container's own networks are open.
 */
import { normalizeHostName } from '../../../../protocol/egress/host-name.js';
import {
  defaultAction,
  type EgressPlace,
  type EgressProtocol,
  type EgressRule,
  type PlaceTarget,
} from '../../../../protocol/egress/rule.js';
import { formatSubnet, includes, parseCIDR, type Subnet } from '../../../../protocol/net/cidr.js';
import { familyOf } from '../../../../protocol/net/ip.js';

/** Where the chain of what is denied begins. */
export const REFUSE = 'goto refuse';

/** Ranges that only a rule inside of them opens (docs/egress.md); other networks have public addresses. */
const PRIVATE = parsed(['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', '100.64.0.0/10', 'fc00::/7']);

/** Another container on one of its networks. */
export interface PeerName {
  ip: string;
  names: readonly string[];
}

export interface Surroundings {
  /** Of its networks, in CIDR notation. */
  subnets: readonly string[];
  peers: readonly PeerName[];
}

/** The statements: a packet to which none applies is denied by the last one; `return` goes on. */
export function peerStatements(rules: readonly EgressRule[], surroundings: Surroundings): string[] {
  const of = (action: EgressRule['action'], verdict: string) =>
    rules.flatMap(({ action: own, target }) =>
      own === action && target.kind === 'place'
        ? destinationsOf(target.place, action, surroundings).flatMap((to) =>
            protocolMatches(target, familyOf(to)).map((match) => `${daddr(to)}${match}${verdict}`),
          )
        : [],
    );
  const open = defaultAction(rules) === 'allow';
  return [...new Set([...of('deny', REFUSE), ...of('allow', 'return'), open ? 'return' : REFUSE])];
}

/** Addresses and subnets. */
function destinationsOf(place: EgressPlace, action: EgressRule['action'], { subnets, peers }: Surroundings): string[] {
  const ofNames = (wanted: (name: string) => boolean) =>
    peers.filter(({ names }) => names.some((name) => wanted(normalizeHostName(name) ?? ''))).map(({ ip }) => ip);
  switch (place.kind) {
    case 'any':
      return action === 'deny'
        ? ['0.0.0.0/0', '::/0']
        : parsed(subnets)
            .filter((own) => !privateBlock(own))
            .map(formatSubnet);
    case 'network':
      return networkDestinations(place.subnet, action, parsed(subnets));
    case 'name':
      return ofNames((name) => name === place.name);
    case 'subdomains':
      return ofNames((name) => name.endsWith(`.${place.name}`));
    case 'host':
      return [];
  }
}

/** What a subnet of a rule and the container's networks have in common. */
function networkDestinations(
  subnet: Readonly<Subnet>,
  action: EgressRule['action'],
  networks: readonly Subnet[],
): string[] {
  return networks.flatMap((own) => {
    const block = privateBlock(own);
    if (action === 'allow' && block && subnet.prefix < block.prefix) return [];
    if (contains(subnet, own)) return [formatSubnet(own)];
    return contains(own, subnet) ? [formatSubnet(subnet)] : [];
  });
}

function parsed(subnets: readonly string[]): Subnet[] {
  return subnets.flatMap((text) => parseCIDR(text)?.subnet ?? []);
}

function privateBlock(subnet: Subnet): Subnet | undefined {
  return PRIVATE.find((block) => contains(block, subnet));
}

function contains(outer: Subnet, inner: Subnet): boolean {
  return outer.prefix <= inner.prefix && includes(outer, { family: inner.family, value: inner.first });
}

function daddr(to: string): string {
  return `${familyOf(to) === 4 ? 'ip' : 'ip6'} daddr ${to} `;
}

function protocolMatches({ protocol, ports }: PlaceTarget, family: 4 | 6): string[] {
  const range = ports && (ports.first === ports.last ? `${ports.first}` : `${ports.first}-${ports.last}`);
  const of: Record<EgressProtocol, string> = {
    tcp: range === undefined ? 'meta l4proto tcp ' : `tcp dport ${range} `,
    udp: range === undefined ? 'meta l4proto udp ' : `udp dport ${range} `,
    icmp: family === 6 ? 'icmpv6 type echo-request ' : 'icmp type echo-request ',
  };
  if (protocol !== undefined) return [of[protocol]];
  return range === undefined ? [of.tcp, of.udp, of.icmp] : [of.tcp, of.udp];
}
