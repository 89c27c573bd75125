/** Compares the kernel's state of a bridge and its ports with the expected one. */
import { addressOf } from '../../../../protocol/net/cidr.js';
import { canonical } from '../../../../protocol/net/ip.js';
import type { Address, Link } from '../../../netlink/route.js';

/** A snapshot of the devices and addresses in the stack's namespace. */
export interface KernelState {
  links: readonly Link[];
  addresses: readonly Address[];
}

/** The problem of a bridge in use, to be appended to its name; undefined if there is none. */
export function bridgeProblem(
  { links, addresses }: KernelState,
  device: string,
  gateways: readonly string[],
): string | undefined {
  const link = links.find(({ name }) => name === device);
  if (!link) return 'is missing';
  if (link.kind !== 'bridge') return 'is not a bridge';
  if (!link.up) return 'is down';
  const present = addresses.filter(({ index }) => index === link.index).map(({ address }) => addressOf(address));
  const missing = gateways.find((ip) => !present.some((one) => canonical(one) === canonical(ip)));
  return missing === undefined ? undefined : `does not have the address ${missing}`;
}

/** The same for a container's device on that bridge. */
export function portProblem({ links }: KernelState, device: string, bridge: string): string | undefined {
  const port = links.find(({ name }) => name === device);
  if (!port) return 'is missing';
  if (!port.up) return 'is down';
  const master = links.find(({ index }) => index === port.master);
  return master?.name === bridge ? undefined : `is not on the bridge ${bridge}`;
}
