import ipaddr from 'ipaddr.js';
import { NetworkError } from '../errors.js';

/** The addresses that user-mode networks use, counted from the start of the CIDR as slirp4netns(1) does. */
export interface UserModeAddresses {
  child: string;
  gateway: string;
  dns: string;
  /** Prefix length. */
  prefix: number;
}

/** Throws NetworkError where the CIDR is no IPv4 network with room for them. */
export function userModeAddresses(cidr: string): UserModeAddresses {
  let parsed: [ipaddr.IPv4, number];
  try {
    parsed = ipaddr.IPv4.parseCIDR(cidr);
  } catch {
    throw new NetworkError(`cidr must be like 10.0.2.0/24, not like ${cidr}`);
  }
  const [address, prefix] = parsed;
  const network = ipaddr.IPv4.networkAddressFromCIDR(cidr);
  if (network.toString() !== address.toString() || prefix > 25) {
    throw new NetworkError(
      `cidr must be like 10.0.2.0/24, not like ${cidr} (${prefix > 25 ? 'at most /25' : `the network is ${network}/${prefix}`})`,
    );
  }
  const at = (offset: number): string => {
    const bytes = network.toByteArray();
    const [a = 0, b = 0, c = 0, d = 0] = bytes;
    return [a, b, c, d + offset].join('.');
  };
  return { child: at(100), gateway: at(2), dns: at(3), prefix };
}
