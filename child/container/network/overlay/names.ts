/** Names of containers on overlay networks: those of here, for other hosts, and those of other hosts, for the DNS server. */
import { MAX_NAMES, memberName } from '../../../../protocol/overlay/schemas.js';
import type { OverlayName } from '../../../../protocol/overlay/types.js';
import type { NameEntry, NameSource } from '../../../dns/name-source.js';
import type { HostsContainer } from '../name-files/hosts.js';

/** The names that other hosts get to know: each with the addresses of all containers that have it. */
export function overlayNames(containers: readonly HostsContainer[]): OverlayName[] {
  const byName = new Map<string, Set<string>>();
  for (const { name, hostname, networks } of containers) {
    for (const { ips, aliases } of networks) {
      for (const text of new Set([name, hostname, ...aliases].map((one) => one.toLowerCase()))) {
        if (!memberName.safeParse(text).success) continue;
        const addresses = byName.get(text) ?? new Set();
        byName.set(text, addresses);
        for (const ip of ips) addresses.add(ip);
      }
    }
  }
  return [...byName]
    .map(([name, addresses]) => ({ name, addresses: [...addresses].slice(0, 64) }))
    .filter(({ addresses }) => addresses.length > 0)
    .slice(0, MAX_NAMES);
}

/** The containers of other hosts, as hosts files have them: each name of each host by itself. */
export function foreignContainers(
  network: string,
  lists: readonly { host: string; names: readonly OverlayName[] }[],
): HostsContainer[] {
  return lists.flatMap(({ host, names }) =>
    names.map(({ name, addresses }) => ({
      id: `${host} ${name}`,
      name,
      hostname: '',
      networks: [{ name: network, ips: addresses, aliases: [] }],
    })),
  );
}

/** Names of containers of other hosts, for the DNS servers of their networks. */
export class OverlayNameSource implements NameSource {
  readonly kind = 'overlay';

  constructor(
    private readonly overlays: {
      names(network: string): readonly { hostName: string; names: readonly OverlayName[] }[];
    },
  ) {}

  entriesOf(network: string): NameEntry[] {
    return this.overlays
      .names(network)
      .flatMap(({ hostName, names }) =>
        names.map(({ name, addresses }) => ({ names: [name], addresses, holder: `${name} on the host ${hostName}` })),
      );
  }
}
