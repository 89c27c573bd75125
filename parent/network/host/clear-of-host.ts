/** Avoids overlaps of the user-mode network with networks of the host: in virtual machines that is often 10.0.2.0/24. */
import { formatSubnet, nextFreeSubnet, parseCIDR, type Subnet } from '../../../protocol/net/cidr.js';
import { errorText } from '../../errors.js';
import type { NetworkOptions } from '../driver.js';
import type { NetworkName } from '../index.js';
import { collisionWith, hostNetworks, USER_MODE_IPV6 } from './networks.js';

/** Drivers with a network of their own. */
const USER_MODE: readonly NetworkName[] = ['auto', 'builtin', 'slirp4netns', 'pasta'];

interface Log {
  debug(line: string): void;
  warn(line: string): void;
}

/** The options, with another network where theirs overlaps one of the host and was not chosen by the user. */
export function clearOfHost(net: NetworkName, options: NetworkOptions, log: Log): NetworkOptions {
  if (options.hostNetworks === undefined || !USER_MODE.includes(net)) return options;
  try {
    const networks = hostNetworks();
    const ofIPv6 = options.ipv6 && net !== 'pasta' ? collisionWith(USER_MODE_IPV6, networks) : undefined;
    if (ofIPv6) {
      log.warn(`with --ipv6 the network has ${USER_MODE_IPV6}, which overlaps ${ofIPv6.what}; hint: use --net=pasta`);
    }
    const hit = collisionWith(options.cidr, networks);
    if (!hit) return options;
    const used = networks.flatMap(({ subnet }) => parseCIDR(subnet)?.subnet ?? []);
    const free = freeFrom(parseCIDR(options.cidr)?.subnet, used);
    if (options.hostNetworks === 'avoid' && free !== undefined) {
      log.debug(`the network is ${free}, since ${options.cidr} overlaps ${hit.what}`);
      return { ...options, cidr: free };
    }
    log.warn(
      `${options.cidr} overlaps ${hit.what}, which is unreachable inside; hint: choose another network with --cidr${free === undefined ? '' : `, such as ${free}`}`,
    );
  } catch (error) {
    // Such as where descriptors have run out.
    log.debug(`cannot list the networks of the host: ${errorText(error)}`);
  }
  return options;
}

function freeFrom(base: Subnet | undefined, used: readonly Subnet[]): string | undefined {
  const free = base && nextFreeSubnet(base, used);
  return free && formatSubnet(free);
}
