/**
 * Names for programs of the stack itself: the host, and the stack's own name. With the network driver builtin the DNS server of
 * the stack's network answers them; name files have them with every driver (parent/stack/name-files.ts).
 */
import type { NetworkDriverInfo } from '../../protocol/api/types.js';
import { DOMAIN, zoneText } from '../../protocol/dns/zone-text.js';
import { HOST_NAMES } from '../../protocol/net/host-names.js';
import { type HostReach, hostAddressInside } from '../network/host/gateway.js';

/** Where a program finds servers of its own stack, whichever address they listen at. */
const SELF = '127.0.0.1';

/** The text for the engine (native/src/dns/server/zone.h). */
export function ownZone(
  { driver, gateway, prefix }: NetworkDriverInfo,
  reach: HostReach,
  name: string | undefined,
): string {
  const host = hostAddressInside({ driver, ...(gateway !== undefined && { gateway }) }, reach);
  return zoneText({
    outside: true,
    // Addresses of the stack's network have names here, or none.
    subnets: gateway === undefined || prefix === undefined ? [] : [`${gateway}/${prefix}`],
    exact: [{ names: HOST_NAMES, addresses: host === '' ? [] : [host] }],
    domain: name === undefined ? [] : [{ names: [name], addresses: [SELF] }],
    reverse: host === '' ? [] : [{ address: host, name: `host.${DOMAIN}` }],
  });
}

/** A line of hosts(5) for the stack's own name; "" where it has none. */
export function ownHostsLine(name: string | undefined): string {
  return name === undefined ? '' : `${SELF} ${name}.${DOMAIN}\n`;
}
