/**
 * Network driver `builtin`: outbound connections and datagrams are made by this process itself, without a program beside it
 * and without a TCP stack in user space. The launcher makes a second network namespace (native/src/gateway/gateway.h) that
 * packets from the child end in; the engine has the sockets there, and makes the connections on the host
 * (native/src/outbound/). What belongs here: the choice of addresses, the host's resolvers, and what the kernel lacks.
 */
import { NetworkError, problemText } from '../../../errors.js';
import { LauncherRequestError } from '../../../namespaces/launcher.js';
import type { ChildNamespaces, Network, NetworkDriver, NetworkOptions } from '../../driver.js';
import { HostResolvers } from '../../host/host-resolvers.js';
import { userModeAddresses } from '../addresses.js';
import { explainGateway, isAboutIPv6 } from './gateway-problem.js';
import { hostHasIPv6 } from './host-ipv6.js';

const DEFAULT_IFNAME = 'eth0';
const DEFAULT_MTU = 65520;
/** The least that IPv6 works with (RFC 8200, section 5). */
const LEAST_MTU_IPV6 = 1280;

/** As slirp4netns has them. */
const IPV6 = { child: 'fd00::100', gateway: 'fd00::2', dns: 'fd00::3', prefix: 64 };

export const builtin: NetworkDriver = {
  name: 'builtin',

  // What the kernel lacks shows when the gateway is made, which is undone with its sockets.
  probe: async () => undefined,

  async setup(child: ChildNamespaces, options: NetworkOptions): Promise<Network> {
    const ipv4 = userModeAddresses(options.cidr);
    const mtu = options.mtu || DEFAULT_MTU;
    const device = options.ifname ?? DEFAULT_IFNAME;
    const { hostLoopback, hostPorts = [] } = options;
    const open = (ipv6: boolean) =>
      child.openGateway({ ifname: device, mtu, hostLoopback, hostPorts, ipv4, ...(ipv6 && { ipv6: IPV6 }) });
    let ipv6 = wantsIPv6(options, mtu);
    const gateway = await open(ipv6)
      .catch((error: unknown) => {
        if (!(error instanceof LauncherRequestError) || options.ipv6 || !isAboutIPv6(error)) throw error;
        ipv6 = false;
        return open(ipv6);
      })
      .catch((error: unknown) => {
        if (!(error instanceof LauncherRequestError)) throw error;
        throw new NetworkError(`--net=builtin cannot be used: ${problemText(explainGateway(error, device))}`);
      });
    const resolvers = new HostResolvers((...found) => gateway.setResolvers(...found));
    return {
      info: {
        driver: 'builtin',
        dns: [ipv4.dns, ...(ipv6 ? [IPV6.dns] : [])],
        childIP: ipv4.child,
        ipv6,
        device,
        prefix: ipv4.prefix,
        gateway: ipv4.gateway,
        mtu,
      },
      egress: gateway,
      // There is no program that could end.
      onLost: () => {},
      close: async () => {
        resolvers.close();
        gateway.close();
      },
    };
  },
};

function wantsIPv6({ ipv6, autoIPv6 }: NetworkOptions, mtu: number): boolean {
  return ipv6 || (autoIPv6 === true && mtu >= LEAST_MTU_IPV6 && hostHasIPv6());
}
