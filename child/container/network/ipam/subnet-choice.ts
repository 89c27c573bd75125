/** Chooses the subnets of a new network: the requested ones, or free ones; none overlaps a subnet in use. */
import type { NetworkRequest } from '../../../../protocol/containers/types.js';
import { formatSubnet } from '../../../../protocol/net/cidr.js';
import { familyOf } from '../../../../protocol/net/ip.js';
import type { HostNetwork } from '../../../../protocol/wire/messages.js';
import { RouteSocket } from '../../../netlink/route.js';
import { ConflictError, ContainerError } from '../../errors.js';
import { firstFreeSubnet, overlaps, parseNetworkSubnet, ulaSubnet } from './subnets.js';

/** Attempts to find a free IPv6 subnet; the first one is free except by coincidence (1 in 2^40), or intent. */
const ULA_ATTEMPTS = 16;

export interface UsedSubnet {
  /** In CIDR notation. */
  subnet: string;
  /** What uses it, for messages. */
  what: string;
  /** A network; a route in the stack's namespace; a network of the host; or the stack's own network. */
  kind: 'network' | 'route' | 'host' | 'own';
}

/** @param networks the networks' subnets, with their names */
export function usedSubnets(
  networks: readonly { name: string; subnet: string }[],
  host: readonly HostNetwork[],
): UsedSubnet[] {
  const configured = networks.map(
    ({ name, subnet }): UsedSubnet => ({
      subnet,
      what: `the subnet ${subnet} of the network ${name}`,
      kind: 'network',
    }),
  );
  const known = host.map(({ subnet, what, own }): UsedSubnet => ({ subnet, what, kind: own ? 'own' : 'host' }));
  using socket = new RouteSocket();
  const live = socket
    .routes()
    .filter(({ destination }) => !/\/0$/.test(destination) && !destination.startsWith('fe80:'))
    .map(
      ({ destination }): UsedSubnet => ({
        subnet: destination,
        what: `the stack's route ${destination}`,
        kind: 'route',
      }),
    );
  return [...configured, ...known, ...live];
}

/**
 * The subnets of a new network, IPv4 first. Throws SubnetError for an invalid one, ConflictError for one in use, and
 * ContainerError for mutually exclusive options.
 */
export function chooseSubnets(request: NetworkRequest, used: readonly UsedSubnet[]): string[] {
  const { name, subnets: asked, ipv4, force } = request;
  const subnets = asked.map((text) => formatSubnet(parseNetworkSubnet(text)));
  const ipv6 = request.ipv6 || subnets.some((subnet) => familyOf(subnet) === 6);
  if (!ipv4 && !ipv6) throw new ContainerError('a network needs IPv4 or IPv6; hint: with --ipv4=false, give --ipv6');
  const four = subnets.find((subnet) => familyOf(subnet) === 4);
  if (!ipv4 && four !== undefined)
    throw new ContainerError(`the subnet ${four} and --ipv4=false are mutually exclusive`);
  for (const family of [4, 6]) {
    if (subnets.filter((subnet) => familyOf(subnet) === family).length > 1) {
      throw new ContainerError(`a network has one subnet of each family; ${asked.join(', ')} were given`);
    }
  }
  const obstacles = used.filter(({ kind }) => conflicts(kind, { macvlan: request.driver === 'macvlan', force }));
  requireFree(subnets, obstacles);
  const taken = [...used.map(({ subnet }) => subnet), ...subnets];
  if (ipv4 && four === undefined) subnets.unshift(firstFreeSubnet(firstSubnetOf(name), taken));
  if (ipv6 && !subnets.some((subnet) => familyOf(subnet) === 6))
    subnets.push(freeUlaSubnet(`rootless-net ${name}`, taken));
  return subnets;
}

/** Throws ConflictError for the first subnet that is in use. */
export function requireFree(subnets: readonly string[], used: readonly UsedSubnet[]): void {
  for (const subnet of subnets) {
    const other = used.find((entry) => overlaps(entry.subnet, subnet));
    if (other) throw new ConflictError(`${subnet} overlaps ${other.what}; hint: ${hintFor(other)}`);
  }
}

/** Where the search for a free IPv4 subnet begins: the default network gets the first one. */
function firstSubnetOf(name: string): string {
  return name === 'bridge' ? '10.4.0.0/24' : '10.4.1.0/24';
}

/** A free subnet for a network to replace one of its own; undefined if there is none. */
export function freeSubnet(name: string, replaced: string, used: readonly UsedSubnet[]): string | undefined {
  const taken = used.map(({ subnet }) => subnet);
  try {
    if (familyOf(replaced) === 6) return freeUlaSubnet(`rootless-net ${name}`, taken);
    return firstFreeSubnet(firstSubnetOf(name), taken);
  } catch (error) {
    if (error instanceof ContainerError) return undefined;
    throw error;
  }
}

/** Containers on a macvlan network are on that of its parent, to which this namespace and the host may have routes. */
function conflicts(kind: UsedSubnet['kind'], { macvlan, force }: { macvlan: boolean; force: boolean }): boolean {
  if (kind === 'network') return true;
  if (macvlan) return false;
  return kind !== 'host' || !force;
}

function hintFor({ kind }: UsedSubnet): string {
  return kind === 'host' ? 'choose another --subnet, or use --force' : 'choose another --subnet';
}

/** Throws ConflictError. */
function freeUlaSubnet(seed: string, taken: readonly string[]): string {
  for (let attempt = 0; attempt < ULA_ATTEMPTS; attempt++) {
    const subnet = ulaSubnet(attempt === 0 ? seed : `${seed} ${attempt}`);
    if (!taken.some((other) => overlaps(other, subnet))) return subnet;
  }
  throw new ConflictError(
    'no IPv6 subnet is free: the host has routes to all of fd00::/8; hint: give one with --subnet and --force',
  );
}
