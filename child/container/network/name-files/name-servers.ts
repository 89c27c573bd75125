/** Which networks have a DNS server, and where. */
import type { HostInfo } from '../../../../protocol/wire/messages.js';
import type { NameHost, NameService } from '../../../dns/name-service.js';
import type { Network } from '../network.js';
import type { NetworkRegistry } from '../registry.js';
import type { PeerRegistry } from './peer-registry.js';
import { hostResolvConf, parseResolvConf } from './resolv-conf.js';

/** Serves the names of a network that has a bridge of ours. Returns the addresses of its servers. */
export function serveNames(names: NameService, { name, bridge }: Network): readonly string[] {
  if (!bridge) return [];
  const ranges = bridge.rangeSets.flatMap(([range]) => range ?? []);
  return names.serve({
    name,
    gateways: ranges.flatMap(({ gateway }) => gateway ?? []),
    subnets: ranges.map(({ subnet }) => subnet),
    outside: !bridge.internal,
    // The packet filter keeps the others from it (bridge/firewall.ts).
    reachesStack: !bridge.internal && bridge.icc,
  });
}

/** Serves those that containers are on: queries may be waiting for this agent. */
export async function serveUsedNetworks(
  names: NameService,
  peers: Pick<PeerRegistry, 'attached'>,
  networks: Pick<NetworkRegistry, 'list'>,
): Promise<void> {
  const used = new Set(peers.attached().flatMap((container) => container.networks.map(({ name }) => name)));
  for (const network of await networks.list()) {
    if (used.has(network.name)) serveNames(names, network);
  }
  names.settled();
}

/** The host, as names are concerned: where containers reach its ports, else what `--add-host NAME:host-gateway` stands for. */
export function nameHostOf({ hostAddress, hostGatewayIP, resolvConf, resolvedConf }: HostInfo): NameHost {
  const { search } = parseResolvConf(hostResolvConf(resolvConf, resolvedConf));
  return { addresses: [hostAddress || hostGatewayIP].filter((ip) => ip !== ''), search };
}
