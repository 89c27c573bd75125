/**
 * Containers in the agent: puts the parts together, recovers what an earlier run left, and serves.
 */
import { once } from 'node:events';
import { mkdirSync, openSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { native } from '../../native/index.js';
import type { ContainersConfig, HostFacts, Message } from '../../protocol/messages.js';
import { Attachments } from './attachments.js';
import { BridgeDriver } from './bridge-driver.js';
import { CNI } from './cni/chain.js';
import { CNIDriver } from './cni-driver.js';
import { Containers } from './containers.js';
import { ContainerError } from './errors.js';
import { Faults } from './faults.js';
import { NftFirewall } from './firewall.js';
import { GarbageCollector } from './garbage.js';
import { Hooks } from './hooks.js';
import { Ipam } from './ipam.js';
import { Journal } from './journal.js';
import { KeyedLock } from './lock.js';
import { Names } from './names.js';
import { Networks } from './networks.js';
import { ParentLink } from './parent-link.js';
import { PeerBook } from './peer-book.js';
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
  lockData(dataDir);

  const xdgData = join(dataDir, '..');
  const environment = { ...process.env, PATH: PROGRAM_PATH };
  const home = process.env.HOME ?? '/root';
  const ipamDir = join(dataDir, 'addresses');
  const cni = new CNI({
    pluginDirs: [
      ...(process.env.CNI_PATH?.split(':') ?? []),
      join(home, 'opt/cni/bin'),
      join(home, '.local/libexec/cni'),
      ...PLUGIN_DIRS,
    ],
    cacheDir: join(dataDir, 'cni'),
    env: environment,
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
  const networks = new Networks(
    confDir,
    ipamDir,
    { hostLocal: join(xdgData, 'cni', 'networks'), tuning: join(stateDir, 'tuning') },
    warn,
  );
  const bridges = new BridgeDriver(ipam, firewall, () => facts?.mtu ?? 0);
  const plugins = new CNIDriver(cni, join(dataDir, 'held'), (id) => attachments.publishedOf(id));
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
  })();
  return {
    ready,
    runtime: {
      onReply: (message) => parent.onReply(message),
      async stop() {
        await containers.stopAll();
        containers.close();
      },
    },
  };
}

/** Two stacks cannot share their containers. Throws ContainerError. */
function lockData(dataDir: string): void {
  mkdirSync(dataDir, { recursive: true, mode: 0o700 });
  // Held until this process ends.
  const lock = openSync(join(dataDir, 'lock'), 'w', 0o600);
  if (native().flock(lock, true)) return;
  throw new ContainerError(
    `the containers in ${dataDir} belong to another stack that runs; end it, or set XDG_DATA_HOME to another directory`,
    409,
  );
}
