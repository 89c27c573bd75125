import ipaddr from 'ipaddr.js';
import { formatSubnet, parseCIDR } from '../../../protocol/net/cidr.js';
import { familyOf, formatIP } from '../../../protocol/net/ip.js';
import { NetworkError } from '../../errors.js';

/** The addresses that user-mode networks use, counted from the start of the CIDR as slirp4netns(1) does. */
export interface UserModeAddresses {
  child: string;
  gateway: string;
  dns: string;
  /** Prefix length. */
  prefix: number;
}

/** Ranges that are not for networks of hosts (RFC 6890), by ipaddr.js's names. */
const RESERVED: Readonly<Record<string, string>> = {
  unspecified: 'the unspecified address',
  loopback: 'loopback',
  linkLocal: 'link-local addresses',
  multicast: 'multicast',
  reserved: 'future use',
  broadcast: 'broadcast',
};

/** Throws NetworkError if the CIDR is not an IPv4 network of hosts with room for them. */
export function userModeAddresses(cidr: string): UserModeAddresses {
  const invalid = (why: string) => new NetworkError(`invalid --cidr ${JSON.stringify(cidr)}: ${why}`);
  const parsed = familyOf(cidr) === 4 ? parseCIDR(cidr) : undefined;
  if (!parsed) throw invalid('expected an IPv4 network, such as 10.0.2.0/24');
  const { subnet, address } = parsed;
  if (subnet.prefix > 25) throw invalid('expected a prefix length of at most 25');
  if (subnet.first !== address.value) throw invalid(`expected ${formatSubnet(subnet)}`);
  const at = (offset: bigint): string => formatIP({ family: 4, value: subnet.first + offset });
  const reserved = RESERVED[ipaddr.parse(at(0n)).range()];
  if (reserved !== undefined) {
    throw invalid(`reserved for ${reserved}; hint: choose a private network, such as 10.0.2.0/24`);
  }
  return { child: at(100n), gateway: at(2n), dns: at(3n), prefix: subnet.prefix };
}
