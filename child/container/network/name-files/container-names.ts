/** The names of containers for the DNS servers of their networks. */
import { shortId } from '../../../../protocol/containers/short-id.js';
import type { NameClient } from '../../../dns/name-service.js';
import type { NameEntry, NameSource } from '../../../dns/name-source.js';
import type { ContainerStore } from '../../storage/container-store.js';
import { domainNameOf, type HostsContainer } from './hosts.js';
import type { PeerRegistry } from './peer-registry.js';

export class ContainerNames implements NameSource {
  readonly kind = 'containers';

  constructor(
    private readonly peers: Pick<PeerRegistry, 'attached'>,
    private readonly store: Pick<ContainerStore, 'all' | 'get'>,
  ) {}

  entriesOf(network: string): NameEntry[] {
    const attached = this.peers.attached();
    const ids = new Set(attached.map(({ id }) => id));
    return [
      ...attached.flatMap((container) =>
        container.networks
          .filter(({ name }) => name === network)
          .map(({ ips, aliases }) => ({
            names: namesOf(container, aliases),
            addresses: ips,
            holder: `container ${container.name}`,
            container: container.id,
          })),
      ),
      ...this.#reserved(network, ids),
    ];
  }

  clients(): NameClient[] {
    return this.peers.attached().flatMap(({ id, networks, netns }) => {
      const { dns: servers = [], dnsSearch: search = [] } = this.store.get(id)?.request ?? {};
      return networks.flatMap(({ ips }) =>
        ips.map((address) => ({
          address,
          networks: networks.map(({ name }) => name),
          servers: netns === '' ? [] : servers,
          netns,
          search,
        })),
      );
    });
  }

  /** Names of containers that are not on their networks now: nobody else is asked for them. */
  #reserved(network: string, attached: ReadonlySet<string>): NameEntry[] {
    return this.store.all().flatMap(({ id, name, hostname, request }) => {
      if (attached.has(id) || request.network.mode !== 'networks') return [];
      const requested = request.network.networks.find((one) => one.network === network);
      if (!requested) return [];
      const names = namesOf({ id, name, hostname, domainname: request.domainname }, requested.aliases ?? []);
      return [{ names, addresses: [], holder: `container ${name}, which does not run` }];
    });
  }
}

/** Its own name comes first: it is the answer when its addresses are asked for. */
function namesOf(container: Omit<HostsContainer, 'networks'>, aliases: readonly string[]): string[] {
  const { id, name, hostname } = container;
  const names = [name, hostname, ...domainNameOf(container), ...aliases, shortId(id)];
  return [...new Set(names)].filter((one) => one !== '');
}
