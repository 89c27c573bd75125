/**
 * Containers in the agent: the composition root. Only here and in networking.ts stores, drivers and services are chosen; the
 * folders below get what they need as named dependencies. See README.md for the layers.
 */
import { once } from 'node:events';
import { statSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { EngineEvent } from '../../native/index.js';
import { errorText } from '../../protocol/errors/error-text.js';
import { statePath } from '../../protocol/state/state-layout.js';
import type { ContainersConfig, HostAspect, Message } from '../../protocol/wire/messages.js';
import { NamePublisher } from '../dns/name-publisher.js';
import { NameService } from '../dns/name-service.js';
import { QueryReporter } from '../dns/query-reporter.js';
import type { ReturnPath } from '../source-address/source-addresses.js';
import { ContainerStreams } from './api/exec-streams.js';
import { OCIHooks } from './api/oci-hooks.js';
import { makeServer } from './api/server.js';
import type { Services } from './api/services.js';
import { ExecRunner } from './exec/exec-runner.js';
import { Host } from './host.js';
import { ContainerLiveness } from './lifecycle/gc/container-liveness.js';
import { GarbageCollector } from './lifecycle/gc/garbage-collector.js';
import { ContainerManager } from './lifecycle/manager.js';
import { LeaseRenewal } from './network/cni/lease-renewal.js';
import { nameHostOf, serveUsedNetworks } from './network/name-files/name-servers.js';
import type { ContainerEndpoint } from './network/return-paths.js';
import { NetworkAdmin } from './network-admin/network-admin.js';
import {
  type AgentDeps,
  type ContainerNetworking,
  type Environment,
  makeNetwork,
  makeStores,
  type Stores,
} from './networking.js';
import { ParentLink } from './parent-link.js';
import { Cgroups } from './process/cgroups.js';
import { ContainerProcesses } from './process/container-processes.js';
import { RunFiles } from './process/run-files.js';
import { SharedNamespaces } from './process/shared-namespaces.js';
import { UsageReports } from './process/usage-reports.js';
import { removeTemporaryFiles } from './storage/atomic-files.js';
import { lockData } from './storage/data-lock.js';
import { KeyedLock } from './storage/lock.js';

/** What the agent needs of its containers. */
export interface ContainerRuntime {
  onReply(message: Extract<Message, { type: 'reply' }>): void;
  /** Where connections to the published ports of a container go; undefined if it has no network. */
  endpointOf(id: string): Promise<ContainerEndpoint | undefined>;
  /** Path of the network namespace of a container; undefined where it does not run. */
  netnsOf(id: string): Promise<string | undefined>;
  /**
   * How answers of a container with that address come back to this namespace; undefined if they do not.
   *
   * @param container its id, "" if it is unknown
   */
  returnPath(ip: string, container: string): Promise<ReturnPath | undefined>;
  /** Restores what is gone of the state directory. */
  renew(): Promise<void>;
  /** How many containers keep the stack: those that run or are being started, those of other OCI runtimes included. */
  inUse(): Promise<number>;
  onNameAnswer(event: Extract<EngineEvent, { type: 'dns-answer' }>): void;
  onNameQuery(event: Extract<EngineEvent, { type: 'dns-query' }>): void;
  /** Whether queries for names are reported to the parent. */
  watchQueries(wanted: boolean): void;
  /** Brings up to date what depends on the host. */
  onHostChanged(what: HostAspect): void;
  /** Ends all containers; by SIGKILL those that have not ended after `timeout` ms. */
  stop(timeout: number): Promise<void>;
}

/**
 * @returns `ready` resolves when requests are served; it rejects with ContainerError, after which it may be tried again
 */
export function startContainers(
  config: ContainersConfig,
  { engine, send, warn, changed }: AgentDeps,
): { runtime: ContainerRuntime; ready: Promise<void> } {
  // Containers, OCI runtimes, plugins and their files have the umask that they have under Docker. Private files have modes.
  process.umask(0o022);
  const parent = new ParentLink(send);
  const unlock = lockData(config.dataDir, config.record);
  const names = new NameService(engine, warn, config.record.name);
  const env: Environment = { config, parent, host: new Host(parent), names, changed, send, warn };
  const stores = makeStores(env);
  const network = makeNetwork(env, stores);
  const runtime = new Runtime(env, stores, network, makeEngine(env, stores, network));
  const ready = runtime.start();
  ready.catch(() => {
    runtime.close();
    unlock();
  });
  return { runtime, ready };
}

type Engine = ReturnType<typeof makeEngine>;

/** The containers' lives, and what is served of them. */
function makeEngine(
  { config, parent, host, names: dns, warn }: Environment,
  stores: Stores,
  network: ContainerNetworking,
) {
  const { stack, stateDir } = config;
  const { store, journal, names, peers, ipam, faults } = stores;
  const { attacher, networks, bridges, overlays, cni, ports, nameFiles, collisions, policies, sweepables } = network;
  const agentSocket = statePath(stateDir, 'agentSocket');
  const processes = new ContainerProcesses(stack, parent);
  const containers = new ContainerManager({
    stack,
    agentSocket,
    store,
    names,
    files: new RunFiles(stateDir, store, warn),
    attacher,
    peers,
    nameFiles,
    ports,
    cgroups: new Cgroups(config.cgroup),
    processes,
    shared: new SharedNamespaces(store, processes),
    hostInfo: host.info,
    faults,
    warn,
  });
  const foreignLocks = new KeyedLock();
  const liveness = new ContainerLiveness({ stack, containers, attacher, journal, foreignLocks });
  const sweepOrder = [store, attacher, ipam, sweepables.cni, sweepables.bridge, ports, names, peers];
  const garbage = new GarbageCollector(sweepOrder, liveness, () => attacher.finished(), warn);
  const hooks = new OCIHooks({
    ...{ containers, attacher, journal, warn, locks: foreignLocks },
    sweep: (recently) => liveness.detachDead(recently),
  });
  const streams = new ContainerStreams(containers, new ExecRunner(containers));
  const networkAdmin = new NetworkAdmin({
    policies,
    containers,
    liveness,
    networks,
    attacher,
    bridges,
    cni,
    ipam,
    collisions,
    names: dns,
    peers,
  });
  const usage = new UsageReports(store, processes);
  const services: Services = { containers, networks, overlays, networkAdmin, hooks, garbage, streams, usage, warn };
  const leases = new LeaseRenewal({
    networks,
    journal,
    attacher,
    exclusively: (id, task) => liveness.exclusively(id, task),
    warn,
  });
  return { containers, liveness, garbage, streams, services, leases, agentSocket };
}

/** The runtime's face to the agent, and its start and end. */
class Runtime implements ContainerRuntime {
  #server: ReturnType<typeof makeServer>;
  readonly #queries: QueryReporter;
  /** Inode of the socket that is listened on. */
  #socket = 0;

  constructor(
    private readonly env: Environment,
    private readonly stores: Stores,
    private readonly network: ContainerNetworking,
    private readonly engine: Engine,
  ) {
    this.#server = makeServer(engine.services);
    const { config, names, parent, warn } = env;
    const { peers } = stores;
    this.#queries = new QueryReporter(
      { networkOf: (id) => names.networkOf(id), containerAt: (address) => peers.nameAt(address) },
      (queries) => parent.request('dns-queries', { queries }),
    );
    if (config.publishNames) {
      const list = () => names.networkNames();
      const publisher = new NamePublisher(list, (published) => parent.request('published-names', published), warn);
      names.onUpdated = () => publisher.changed();
    }
    network.dhcp.onLost = () => void engine.leases.run();
  }

  /** Reads what there is, recovers containers, and serves. Throws ContainerError. */
  async start(): Promise<void> {
    const { config, host } = this.env;
    const { peers, store } = this.stores;
    const { containers, garbage, leases } = this.engine;
    await host.info();
    for (const name of ['cni', 'containers', 'held', 'attached', 'journal', 'names'])
      await removeTemporaryFiles(join(config.dataDir, name));
    await removeTemporaryFiles(config.confDir, /^\.rootless-net-.*\.new$/);
    await peers.load();
    await store.load(config.stack, (id) => peers.nameOf(id) !== undefined);
    await this.#findHost();
    await serveUsedNetworks(this.env.names, peers, this.network.networks);
    await containers.recover();
    await containers.recoverPolicies();
    await garbage.run('safe');
    await this.#listen();
    // What has changed while no agent was there to be notified.
    void this.#followHost('resolvers');
    // The DHCP daemon of the agent before has ended with it.
    void leases.run();
    containers.resume();
  }

  close(): void {
    this.env.names.closeAll();
    this.engine.containers.close();
    this.#server.close();
  }

  onReply(message: Extract<Message, { type: 'reply' }>): void {
    this.env.parent.onReply(message);
  }

  onNameAnswer(event: Extract<EngineEvent, { type: 'dns-answer' }>): void {
    this.env.names.onAnswer(event);
  }

  onNameQuery(event: Extract<EngineEvent, { type: 'dns-query' }>): void {
    this.#queries.add(event);
  }

  watchQueries(wanted: boolean): void {
    this.env.names.watchQueries(wanted);
  }

  endpointOf(id: string): Promise<ContainerEndpoint | undefined> {
    return this.network.returnPaths.endpointOf(id);
  }

  netnsOf(id: string): Promise<string | undefined> {
    return this.network.returnPaths.netnsOf(id);
  }

  returnPath(ip: string, container: string): Promise<ReturnPath | undefined> {
    return this.network.returnPaths.returnPath(ip, container);
  }

  onHostChanged(what: HostAspect): void {
    this.env.host.forget();
    void this.#followHost(what);
  }

  async renew(): Promise<void> {
    const { services, containers, agentSocket } = this.engine;
    if (statSync(agentSocket, { throwIfNoEntry: false })?.ino === this.#socket) return;
    // Clients that are connected stay connected.
    this.#server.close();
    this.#server = makeServer(services);
    await this.#listen();
    await containers.renew();
  }

  async inUse(): Promise<number> {
    const { containers, liveness } = this.engine;
    const foreign = await liveness.countForeign();
    return containers.inUse() + foreign;
  }

  async stop(timeout: number): Promise<void> {
    const { containers, streams } = this.engine;
    await containers.stopAll(timeout);
    await streams.end();
    await this.network.attacher.finished();
    containers.close();
    await this.network.overlays.close();
    await this.network.dhcp.close();
  }

  async #listen(): Promise<void> {
    const { agentSocket } = this.engine;
    await rm(agentSocket, { force: true });
    this.#server.listen(agentSocket);
    await once(this.#server, 'listening');
    this.#socket = statSync(agentSocket).ino;
  }

  async #findHost(): Promise<void> {
    const { host, names } = this.env;
    names.setHost(nameHostOf(await host.info()));
  }

  async #followHost(what: HostAspect): Promise<void> {
    try {
      await this.#findHost();
      if (what === 'resolvers') await this.engine.containers.followHost();
      // Resolvers have addresses, too.
      await this.network.collisions.report();
    } catch (error) {
      this.env.warn(`cannot follow a change on the host: ${errorText(error)}`);
    }
  }
}
