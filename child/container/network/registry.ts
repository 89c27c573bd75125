/**
 * The networks that containers can be on: network configuration lists in the user's CNI directory. Those created here are
 * valid for any CNI runtime with the standard plugins; those of other CNI runtimes are listed and used, but not changed.
 */
import { basename, extname, join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import type { AttachmentRequest, NetworkRequest, NetworkUpdate } from '../../../protocol/containers/types.js';
import type { HostNetwork } from '../../../protocol/wire/messages.js';
import { ConflictError, ContainerError, NoSuchNetworkError } from '../errors.js';
import { remove, writeDurableJSON } from '../storage/atomic-files.js';
import { KeyedLock } from '../storage/lock.js';
import { type ConfProblem, readConfDir } from './cni/executor/conflist.js';
import type { ConfList } from './cni/executor/types.js';
import { buildList, updateList, withEgress } from './conflist-builder.js';
import { chooseSubnets, requireFree, usedSubnets } from './ipam/subnet-choice.js';
import {
  DEFAULT_NETWORK,
  type Network,
  networkOf,
  OVERLAY_DRIVER,
  PSEUDO_NETWORKS,
  type ResolvedAttachment,
  subnetsByName,
  subnetsOf,
} from './network.js';
import { EMPTY_REQUEST } from './network-request.js';

export interface NetworkRegistryDeps {
  /** Directory of the configuration lists. */
  confDir: string;
  /** Where host-local keeps the reserved addresses of networks that are created here. */
  ipamDir: string;
  warn: (line: string) => void;
  /** The subnets that the host reaches, and the stack's own network; none unless given. */
  hostNetworks?: () => Promise<readonly HostNetwork[]>;
}

export class NetworkRegistry {
  /** Called for each network that is made or removed here. */
  onChange: ((change: 'created' | 'removed', network: Network) => void) | undefined;
  readonly #locks = new KeyedLock();
  /** Files whose problems have been reported. */
  readonly #warned = new Set<string>();

  constructor(private readonly deps: NetworkRegistryDeps) {}

  /** In the order of their file names. Invalid files are reported once, and skipped. */
  async list(): Promise<Network[]> {
    const { networks, problems } = await this.#read();
    for (const problem of problems) {
      if (!this.#warned.has(problem.file)) this.deps.warn(describe(problem));
      this.#warned.add(problem.file);
    }
    return networks.map(({ file, list }) => networkOf(list, file));
  }

  /** A line for each skipped file that would define the network. */
  async problemsOf(name: string): Promise<string[]> {
    const { problems } = await this.#read();
    // An unreadable file is identified by its name only: nerdctl-NAME.conflist, 10-NAME.conf …
    const isOf = (problem: ConfProblem) => {
      const base = basename(problem.file, extname(problem.file));
      return problem.name === undefined ? base === name || base.endsWith(`-${name}`) : problem.name === name;
    };
    return problems.filter(isOf).map(describe);
  }

  /** By name, id, or a prefix of an id. Throws NoSuchNetworkError, and ConflictError for an ambiguous prefix. */
  async find(text: string): Promise<Network> {
    const networks = await this.list();
    const exact = networks.find(({ name, id }) => name === text || id === text);
    if (exact) return exact;
    const matching = networks.filter(({ id }) => /^[0-9a-f]{3,}$/.test(text) && id.startsWith(text));
    if (matching.length > 1)
      throw new ConflictError(`multiple networks found with the prefix ${text}; give more digits of the id`);
    if (matching[0]) return matching[0];
    throw new NoSuchNetworkError(text, (await this.problemsOf(text))[0]);
  }

  /** The network of containers that request none; created when it is first needed. */
  default(): Promise<Network> {
    return this.#locks.run('create', async () => {
      const existing = (await this.list()).find(({ name }) => name === DEFAULT_NETWORK);
      return existing ?? this.#create({ ...EMPTY_REQUEST, name: DEFAULT_NETWORK });
    });
  }

  /** The requested networks, in the same order. Throws NoSuchNetworkError, and ContainerError for a duplicate. */
  async resolve(requests: readonly AttachmentRequest[]): Promise<ResolvedAttachment[]> {
    const resolved = await Promise.all(
      requests.map(async (request) => ({
        request,
        network: request.network === DEFAULT_NETWORK ? await this.default() : await this.find(request.network),
      })),
    );
    const names = resolved.map(({ network }) => network.name);
    const duplicate = names.find((name, index) => names.indexOf(name) !== index);
    if (duplicate !== undefined) throw new ContainerError(`the network ${duplicate} is named twice`);
    return resolved;
  }

  /** Throws ContainerError (and SubnetError, ConflictError); nothing is created then. */
  create(request: NetworkRequest): Promise<Network> {
    return this.#locks.run('create', () => this.#create(request));
  }

  /**
   * Writes the list of a network created here with other subnets. `check` gets the network as it will be; if it throws,
   * nothing is changed. Throws ContainerError.
   */
  update(network: Network, update: NetworkUpdate, check: (planned: Network) => void): Promise<Network> {
    return this.#locks.run('create', async () => {
      const others = (await this.list()).filter(({ name }) => name !== network.name);
      const own = subnetsOf(network).map(({ subnet }) => subnet);
      // The routes of its own bridge exist as long as the bridge does.
      const used = usedSubnets(subnetsByName(others), await this.#hostNetworks()).filter(
        ({ kind, subnet }) => kind !== 'route' || !own.includes(subnet),
      );
      const list = updateList(network, update, used);
      const planned = networkOf(list, network.file);
      check(planned);
      await writeDurableJSON(network.file, list, 0o644);
      return planned;
    });
  }

  /**
   * Writes the list of an overlay network, unless it is there already. `moved` is whether it had another one. Throws
   * ConflictError where another network has its name, or where one of the subnets, of all hosts, is in use.
   */
  ensureOverlay(list: ConfList, subnets: readonly string[]): Promise<{ network: Network; moved: boolean }> {
    return this.#locks.run('create', async () => {
      const networks = await this.list();
      const known = networks.find(({ name }) => name === list.name);
      if (known && (known.driver !== OVERLAY_DRIVER || !known.own)) {
        throw new ConflictError(`there is a network ${list.name} already; remove it first`);
      }
      const wanted = known && known.egress.length > 0 ? withEgress(list, known.egress) : list;
      if (known && isDeepStrictEqual(known.list, wanted)) return { network: known, moved: false };
      // One that is there already stays, whatever the host's networks are now: `network check` reports them.
      if (!known) requireFree(subnets, usedSubnets(subnetsByName(networks), await this.#hostNetworks()));
      const file = known?.file ?? this.#fileOf(list.name);
      await writeDurableJSON(file, wanted, 0o644);
      const network = networkOf(wanted, file);
      if (!known) this.onChange?.('created', network);
      return { network, moved: known !== undefined };
    });
  }

  /** Writes the list of a network created here with another egress policy. Throws ContainerError. */
  setEgress(network: Network, edit: (rules: readonly string[]) => string[]): Promise<Network> {
    return this.#locks.run('create', async () => {
      const current = await this.find(network.name);
      if (!current.own)
        throw new ConflictError(`the network ${network.name} is managed by another program (${current.file})`);
      const list = withEgress(current.list, edit(current.egress));
      await writeDurableJSON(current.file, list, 0o644);
      return networkOf(list, current.file);
    });
  }

  /** Throws ConflictError for a network that was not created here. */
  async remove(network: Network): Promise<void> {
    if (!network.own)
      throw new ConflictError(
        `the network ${network.name} is managed by another program (${network.file}) and cannot be removed here`,
      );
    await remove(network.file);
    this.onChange?.('removed', network);
  }

  #fileOf(name: string): string {
    return join(this.deps.confDir, `rootless-net-${name}.conflist`);
  }

  #read() {
    const { confDir } = this.deps;
    // nerdctl keeps the networks of its default namespace in a directory of their own.
    return readConfDir([confDir, join(confDir, 'default')]);
  }

  async #hostNetworks(): Promise<readonly HostNetwork[]> {
    return (await this.deps.hostNetworks?.()) ?? [];
  }

  async #create(request: NetworkRequest): Promise<Network> {
    const networks = await this.list();
    // --network=default is the predefined network.
    if (PSEUDO_NETWORKS.includes(request.name) || request.name === 'default')
      throw new ContainerError(`invalid network name ${request.name}: it is reserved; choose another one`);
    if (networks.some(({ name }) => name === request.name)) {
      throw new ConflictError(
        `network with name ${request.name} already exists; remove it first, or choose another name`,
      );
    }
    const used = usedSubnets(subnetsByName(networks), await this.#hostNetworks());
    const list = buildList(request, this.deps.ipamDir, () => chooseSubnets(request, used));
    const file = this.#fileOf(request.name);
    await writeDurableJSON(file, list, 0o644);
    const network = networkOf(list, file);
    this.onChange?.('created', network);
    return network;
  }
}

function describe({ file, what }: ConfProblem): string {
  return `skipping ${file}: ${what}`;
}
