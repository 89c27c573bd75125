import { networkInterfaces } from 'node:os';
import type { NetworkDriverInfo } from '../../../protocol/api/types.js';
import type { NetworkOptions } from '../driver.js';

/** What of the host programs inside can reach at the gateway's address, with the network driver builtin. */
export type HostReach = Pick<NetworkOptions, 'hostLoopback' | 'hostPorts'>;

/** The address inside at which ports of the host can be reached, all or some; "" where none can. */
export function hostAddressInside(
  { driver, gateway = '' }: Pick<NetworkDriverInfo, 'driver' | 'gateway'>,
  { hostLoopback, hostPorts = [] }: HostReach,
): string {
  return driver === 'builtin' && (hostLoopback || hostPorts.length > 0) ? gateway : '';
}

/**
 * First address of the host that is neither loopback nor IPv6, like RootlessKit's; "" if there is none, or where
 * descriptors have run out.
 */
export function hostGatewayIP(): string {
  try {
    const addresses = Object.values(networkInterfaces()).flatMap((list) => list ?? []);
    return addresses.find(({ family, internal }) => family === 'IPv4' && !internal)?.address ?? '';
  } catch {
    return '';
  }
}
