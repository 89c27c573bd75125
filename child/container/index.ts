/**
 * Containers in the agent: puts the parts together, recovers what an earlier run left, and serves.
 */
import { once } from 'node:events';
import { closeSync, mkdirSync, openSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { native } from '../../native/index.js';
import { errorText } from '../../protocol/error-text.js';
import type { ContainersConfig, HostFacts, Message } from '../../protocol/messages.js';
import type { WayBack } from '../source-addresses.js';
import { Attachments } from './attachments.js';
import { BridgeDriver } from './bridge-driver.js';
import { CNI } from './cni/chain.js';
import { CNIDriver } from './cni-driver.js';
import { Containers } from './containers.js';
import { DHCPDaemon } from './dhcp-daemon.js';
import { ContainerError } from './errors.js';
import { Faults } from './faults.js';
import { NftFirewall } from './firewall.js';
import { GarbageCollector } from './garbage.js';
import { Hooks } from './hooks.js';
import { Ipam } from './ipam.js';
import { Journal } from './journal.js';
import { KeyedLock } from './lock.js';
import { Names } from './names.js';
import { NetnsPins } from './netns-pins.js';
import { Networks, usesDHCP } from './networks.js';
import { ParentLink } from './parent-link.js';
import { PeerBook } from './peer-book.js';
import { type PluginPlaces, withOurPlaces } from './plugin-places.js';
import { Ports } from './ports.js';
import { Records } from './records.js';
import { PROGRAM_PATH } from './run-program.js';
import { makeServer } from './server.js';
import { removeUnfinished } from './state-files.js';
import { Streams } from './streams.js';

/** Where other CNI runtimes look for plugins (as libcni's users do), and where distributions put them. */
const PLUGIN_DIRS = [
  '/opt/cni/bin',
  '/usr/local/libexec/cni',
  '/usr/local/lib/cni',
  '/usr/libexec/cni',
  '/usr/lib/cni',
];

export interface ContainerRuntime {
  onReply(message: Extract<Message, { type: 'reply' }>): void;
  /** How answers of a container with that address come back to this namespace; undefined where they do not. */
  wayBack(ip: string): Promise<WayBack | undefined>;
  /** Ends all containers. */
  stop(): Promise<void>;
}

/** Resolves when requests are served. Throws ContainerError. */
export function startContainers(
  config: ContainersConfig,
  send: (message: Message) => void,
  warn: (line: string) => void,
): { runtime: ContainerRuntime; ready: Promise<void> } {
  const { stack, stateDir, dataDir, confDir } = config;
  const parent = new ParentLink(send);
  const unlock = lockData(dataDir);

  const xdgData = join(dataDir, '..');
  const environment = { ...process.env, PATH: PROGRAM_PATH };
  const home = process.env.HOME ?? '/root';
  const ipamDir = join(dataDir, 'addresses');
  const pluginDirs = [
    ...(process.env.CNI_PATH?.split(':') ?? []),
    join(home, 'opt/cni/bin'),
    join(home, '.local/libexec/cni'),
    ...PLUGIN_DIRS,
  ];
  const dhcp = new DHCPDaemon(join(stateDir, 'dhcp.sock'), pluginDirs, (level, text) =>
    send({ type: 'log', level, text }),
  );
  const places: PluginPlaces = {
    hostLocal: join(xdgData, 'cni', 'networks'),
    tuning: join(stateDir, 'tuning'),
    dhcpSocket: () => dhcp.socket(),
  };
  const cni = new CNI({
    pluginDirs,
    cacheDir: join(dataDir, 'cni'),
    env: environment,
    adapt: (plugin) => withOurPlaces(plugin, places),
  });
  let facts: HostFacts | undefined;
  const currentFacts = async () => {
    facts = await parent.request('facts', {});
    return facts;
  };
  const ipam = new Ipam(ipamDir);
  const firewall = new NftFirewall();
  const ports = new Ports(parent);
  const peers = new PeerBook(join(dataDir, 'containers'));
  const faults = Faults.fromEnvironment();
  const journal = new Journal(join(dataDir, 'journal'), faults);
  const names = new Names(join(dataDir, 'names'));
  const records = new Records(join(dataDir, 'containers'), warn);
  const networks = new Networks(confDir, ipamDir, warn);
  const bridges = new BridgeDriver(ipam, firewall, () => facts?.mtu ?? 0);
  const pins = new NetnsPins(join(stateDir, 'netns'));
  const published = (id: string) => attachments.publishedOf(id);
  const plugins = new CNIDriver(cni, pins, join(dataDir, 'held'), places.hostLocal, published, warn);
  const drivers = { bridge: bridges, cni: plugins };
  const attachments = new Attachments(
    stack,
    join(dataDir, 'attached'),
    networks,
    drivers,
    ports,
    peers,
    journal,
    faults,
    warn,
  );
  const agentSocket = join(stateDir, 'agent.sock');
  const containers = new Containers(
    stack,
    { stateDir, agentSocket },
    records,
    names,
    attachments,
    peers,
    ports,
    currentFacts,
    faults,
    warn,
  );
  const locks = new KeyedLock();
  const garbage = new GarbageCollector(
    stack,
    containers,
    attachments,
    networks,
    journal,
    ipam,
    names,
    peers,
    ports,
    firewall,
    cni,
    locks,
    warn,
  );
  const hooks = new Hooks(containers, attachments, journal, locks, () => garbage.forgetDead(), warn);
  const streams = new Streams(containers);
  const server = makeServer({ containers, networks, attachments, bridges, cni, ipam, hooks, garbage, streams, warn });

  let renewing = false;
  /** Has the DHCP daemon take up the leases of containers that run, where the one that had them is gone. */
  const renewLeases = async () => {
    // Where it is lost again meanwhile, that is left to the next start: else it might never end.
    if (renewing) return;
    renewing = true;
    try {
      if (!(await networks.list()).some(usesDHCP)) return;
      for (const id of await journal.ids()) {
        const renew = () => attachments.renewLeases(id);
        await (records.get(id) ? containers.exclusively(id, renew) : locks.run(id, renew));
      }
    } catch (error) {
      warn(`cannot take up the leases of containers: ${errorText(error)}`);
    } finally {
      renewing = false;
    }
  };
  dhcp.onLost = () => void renewLeases();

  const ready = (async () => {
    await currentFacts();
    for (const name of ['cni', 'containers', 'held', 'attached', 'journal', 'names'])
      await removeUnfinished(join(dataDir, name));
    await removeUnfinished(confDir, /^\.rootless-net-.*\.new$/);
    await peers.load();
    await records.load(stack, (id) => peers.nameOf(id) !== undefined);
    await containers.recover();
    await garbage.run('safe');
    await rm(agentSocket, { force: true });
    server.listen(agentSocket);
    await once(server, 'listening');
    // The one of an agent before has ended with that.
    void renewLeases();
  })();
  // It may be tried again.
  ready.catch(() => {
    containers.close();
    server.close();
    unlock();
  });
  return {
    ready,
    runtime: {
      onReply: (message) => parent.onReply(message),
      wayBack: (ip) => attachments.wayBack(ip),
      async stop() {
        await containers.stopAll();
        await streams.end();
        containers.close();
        await dhcp.close();
      },
    },
  };
}

/** Two stacks cannot share their containers. Returns what ends the lock. Throws ContainerError. */
function lockData(dataDir: string): () => void {
  mkdirSync(dataDir, { recursive: true, mode: 0o700 });
  const lock = openSync(join(dataDir, 'lock'), 'w', 0o600);
  if (native().flock(lock, true)) return () => closeSync(lock);
  closeSync(lock);
  throw new ContainerError(
    `the containers in ${dataDir} belong to another stack that runs; end it, or set XDG_DATA_HOME to another directory`,
    409,
  );
}
