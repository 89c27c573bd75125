/**
 * Networks whose subnets collide with networks of the host: a VPN has come up since they were created, or they were created
 * with --force. What the host has in such a subnet is unreachable for the whole stack.
 */
import type { HostNetwork } from '../../../protocol/wire/messages.js';
import { freeSubnet, type UsedSubnet, usedSubnets } from './ipam/subnet-choice.js';
import { overlaps } from './ipam/subnets.js';
import { type Network, subnetsByName, subnetsOf } from './network.js';
import type { NetworkRegistry } from './registry.js';

/** Drivers whose networks exist in the stack's namespace only. */
const INTERNAL_DRIVERS = ['bridge', 'ptp'];

/** Warnings in the lifetime of an agent: a routing daemon could cause an unlimited number. */
const MAX_WARNINGS = 100;

export class Collisions {
  /** Keys of the collisions that were reported. */
  readonly #reported = new Set<string>();

  constructor(
    private readonly networks: Pick<NetworkRegistry, 'list'>,
    private readonly hostNetworks: () => Promise<readonly HostNetwork[]>,
    private readonly warn: (line: string) => void,
  ) {}

  /** The collisions of a network, a line each; the lines do not name it. */
  async of(network: Network): Promise<string[]> {
    const host = await this.hostNetworks();
    const list = await this.networks.list();
    const found = collisionsOf(network, host);
    if (found.length === 0) return [];
    const used = usedSubnets(subnetsByName(list), host);
    return found.map(
      ({ subnet, what }) => `its subnet ${subnet} overlaps ${what}; hint: ${hintFor(network, subnet, used)}`,
    );
  }

  /** Warns of each collision once; not of networks with --force. */
  async report(): Promise<void> {
    const host = await this.hostNetworks();
    const list = await this.networks.list();
    let used: UsedSubnet[] | undefined;
    for (const network of list) {
      if (network.forced) continue;
      for (const { subnet, what } of collisionsOf(network, host)) {
        const key = [network.name, subnet, what].join('\0');
        if (this.#reported.has(key) || this.#reported.size >= MAX_WARNINGS) continue;
        this.#reported.add(key);
        used ??= usedSubnets(subnetsByName(list), host);
        this.warn(
          `the subnet ${subnet} of the network ${network.name} overlaps ${what}, which is unreachable for the stack; hint: ${hintFor(network, subnet, used)}`,
        );
      }
    }
  }
}

interface Collision {
  subnet: string;
  what: string;
}

/** The most specific collision of each subnet. */
function collisionsOf(network: Network, host: readonly HostNetwork[]): Collision[] {
  if (!INTERNAL_DRIVERS.includes(network.driver)) return [];
  return subnetsOf(network).flatMap(({ subnet }) => {
    const hit = host.find((entry) => overlaps(entry.subnet, subnet));
    return hit ? [{ subnet, what: hit.what }] : [];
  });
}

/** How to resolve it, with a free subnet, which is added to `used` so that each hint names another one. */
function hintFor(network: Network, subnet: string, used: UsedSubnet[]): string {
  if (!network.own) return `change its subnet in ${network.file}`;
  const free = freeSubnet(network.name, subnet, used);
  if (free !== undefined)
    used.push({ subnet: free, what: `the subnet for the network ${network.name}`, kind: 'network' });
  return `rootless-net network update ${network.name} --subnet ${free ?? 'CIDR'}`;
}
