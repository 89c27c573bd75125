/** The part of the composition root (index.ts) that chooses stores, networks and their drivers. */
import { join } from 'node:path';
import { shortId } from '../../protocol/containers/short-id.js';
import { statePath } from '../../protocol/state/state-layout.js';
import type { ContainersConfig, Message } from '../../protocol/wire/messages.js';
import type { NameEngine, NameService } from '../dns/name-service.js';
import { reportEvents } from './events.js';
import type { Host } from './host.js';
import { Attacher } from './network/attacher.js';
import { AttachmentStore } from './network/attachment-store.js';
import { AnswerFilter } from './network/bridge/answer-filter.js';
import { BridgeDriver } from './network/bridge/driver.js';
import { NftFirewall } from './network/bridge/firewall.js';
import { BridgeGarbage } from './network/bridge/garbage.js';
import { DHCPDaemon } from './network/cni/dhcp-daemon.js';
import { CNIDriver } from './network/cni/driver.js';
import { CNI } from './network/cni/executor/chain.js';
import { CNIGarbage } from './network/cni/garbage.js';
import { NetnsPins } from './network/cni/netns-pins.js';
import { type PluginPaths, pluginDirectories, withPluginPaths } from './network/cni/plugin-paths.js';
import { Collisions } from './network/collisions.js';
import { EgressPolicies } from './network/egress/policies.js';
import { Ipam } from './network/ipam/ipam.js';
import { ContainerNames } from './network/name-files/container-names.js';
import { NameFiles } from './network/name-files/name-files.js';
import { serveNames } from './network/name-files/name-servers.js';
import { PeerRegistry } from './network/name-files/peer-registry.js';
import { OverlayDriver } from './network/overlay/driver.js';
import { OverlayNetworks } from './network/overlay/overlays.js';
import { NetworkRegistry } from './network/registry.js';
import { ReturnPaths } from './network/return-paths.js';
import type { ParentLink } from './parent-link.js';
import { PortPublisher } from './ports/port-publisher.js';
import { PROGRAM_PATH } from './run-program.js';
import { ContainerStore } from './storage/container-store.js';
import { FaultInjector } from './storage/fault-injection.js';
import { Journal } from './storage/journal.js';
import { NameRegistry } from './storage/name-registry.js';

/** What the agent gives its containers. */
export interface AgentDeps {
  engine: NameEngine;
  send: (message: Message) => void;
  warn: (line: string) => void;
  /** Called when it has changed how a container is reached. */
  changed: () => void;
}

export interface Environment extends Omit<AgentDeps, 'engine'> {
  config: ContainersConfig;
  parent: ParentLink;
  host: Host;
  names: NameService;
}

export type Stores = ReturnType<typeof makeStores>;

/** Files in the data directory, which outlast the stack. */
export function makeStores({ config: { dataDir }, names: dns, warn }: Environment) {
  const faults = FaultInjector.fromEnvironment();
  const store = new ContainerStore(join(dataDir, 'containers'), warn);
  const peers = new PeerRegistry(join(dataDir, 'containers'));
  const containerNames = new ContainerNames(peers, store);
  dns.addSource(containerNames);
  peers.onChange.push((networks) => dns.changed(networks));
  dns.setClients(() => containerNames.clients());
  const ipamDir = join(dataDir, 'addresses');
  return {
    faults,
    store,
    journal: new Journal(join(dataDir, 'journal'), faults),
    names: new NameRegistry(join(dataDir, 'names')),
    peers,
    ipamDir,
    ipam: new Ipam(ipamDir, { nameOf: (id) => store.get(id)?.name ?? shortId(id) }),
  };
}

export type ContainerNetworking = ReturnType<typeof makeNetwork>;

/** Networks, their drivers, and published ports. */
export function makeNetwork({ config, parent, host, names, changed, send, warn }: Environment, stores: Stores) {
  const { stack, stateDir, dataDir, confDir } = config;
  const { faults, journal, peers, ipam, ipamDir, store } = stores;
  const pluginDirs = pluginDirectories();
  const dhcp = new DHCPDaemon(statePath(stateDir, 'dhcpSocket'), pluginDirs, (level, text) =>
    send({ type: 'log', level, text }),
  );
  const paths: PluginPaths = {
    hostLocal: join(dataDir, '..', 'cni', 'networks'),
    tuning: statePath(stateDir, 'tuning'),
    dhcpSocket: () => dhcp.socket(),
  };
  const cni = new CNI({
    pluginDirs,
    cacheDir: join(dataDir, 'cni'),
    env: { ...process.env, PATH: PROGRAM_PATH },
    adapt: (plugin) => withPluginPaths(plugin, paths),
  });
  const firewall = new NftFirewall(host.direct);
  const answers = new AnswerFilter();
  const ports = new PortPublisher(parent, send, warn);
  const networks = new NetworkRegistry({ confDir, ipamDir, warn, hostNetworks: host.networks });
  const policies = new EgressPolicies({ parent, direct: host.direct, peersOf: (id) => peers.peersOf(id), warn });
  peers.onWritten = () => policies.refresh();
  const bridges = new BridgeDriver({
    ...{ ipam, firewall, policies },
    stackMtu: host.mtu,
    // Containers of other OCI runtimes may ask as well.
    onReady: (network) => serveNames(names, network),
    onRemoved: (network) => names.close(network),
  });
  const pins = new NetnsPins(statePath(stateDir, 'netnsPins'));
  const plugins = new CNIDriver({
    cni,
    pins,
    heldDir: join(dataDir, 'held'),
    hostLocalDir: paths.hostLocal,
    published: (id) => attacher.publishedOf(id),
    warn,
  });
  const overlays = new OverlayNetworks({ networks, bridges, ipam, ipamDir, peers, parent, dns: names, warn });
  const states = new AttachmentStore(join(dataDir, 'attached'));
  const attacher: Attacher = new Attacher({
    stack,
    states,
    networks,
    drivers: { bridge: bridges, overlay: new OverlayDriver(bridges, overlays), cni: plugins },
    ports,
    peers,
    journal,
    faults,
    policies,
    changed: () => {
      returnPaths.forget();
      changed();
    },
    warn,
  });
  const returnPaths = new ReturnPaths(states, journal, answers, warn);
  reportEvents({ store, networks, states }, send);
  return {
    dhcp,
    cni,
    ports,
    networks,
    bridges,
    overlays,
    attacher,
    policies,
    returnPaths,
    collisions: new Collisions(networks, host.networks, warn),
    nameFiles: new NameFiles({
      ...{ store, peers, networks },
      nameServersOf: (network) => serveNames(names, network),
      host,
      stackHosts: statePath(stateDir, 'hosts'),
    }),
    sweepables: {
      bridge: new BridgeGarbage({ networks, journal, states, bridges, firewall, answers, policies }),
      cni: new CNIGarbage({ networks, cni, warn }),
    },
  };
}
