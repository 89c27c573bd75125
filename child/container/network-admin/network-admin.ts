/**
 * Operations on whole networks that involve the containers on them: `network rm`, `prune`, `check` and `update`. What
 * concerns a network alone is in ../network; what concerns one container, in ../lifecycle.
 */
import type { ContainerEgressReport, EgressReport } from '../../../protocol/api/egress.js';
import type { LimitReport } from '../../../protocol/api/limit.js';
import type {
  NameQueryReport,
  NetworkNamesReport,
  NetworkReport,
  NetworkUpdate,
} from '../../../protocol/containers/types.js';
import { errorText } from '../../../protocol/errors/error-text.js';
import { ConflictError } from '../errors.js';
import { DEFAULT_NETWORK, type Network, OVERLAY_DRIVER, PSEUDO_NETWORKS } from '../network/network.js';
import type { NetworkAdminDeps } from './deps.js';
import {
  changeContainerEgress,
  changeContainerLimit,
  changeNetworkEgress,
  containerEgress,
  containerLimit,
  networkEgress,
  type RuleChange,
} from './egress.js';
import { foreignMembersOf, membersOf } from './members.js';
import { askNetwork, type NameQuestion, networkNames } from './network-names.js';
import { networkReport } from './network-report.js';
import { updateNetwork } from './update.js';

/** How many containers a message names. */
const MAX_NAMES = 5;

export class NetworkAdmin {
  constructor(private readonly deps: NetworkAdminDeps) {}

  async report(network: Network): Promise<NetworkReport> {
    const { containers } = this.deps;
    const reports = await Promise.all(containers.store.all().map((record) => containers.report(record)));
    return networkReport(network, reports);
  }

  names(network: Network): NetworkNamesReport {
    return networkNames(this.deps, network);
  }

  /** Has its DNS server answer a question. Throws ContainerError. */
  resolve(network: Network, question: NameQuestion): Promise<NameQueryReport> {
    return askNetwork(this.deps, network, question);
  }

  /** Throws ConflictError for a name of --network that is not a network. */
  refusePredefined(name: string): void {
    if (PSEUDO_NETWORKS.includes(name)) throw predefined(name);
  }

  /** Removes a network with its bridge and reservations. Throws ConflictError if it is in use, predefined, or an overlay. */
  async remove(network: Network): Promise<void> {
    if (network.driver === OVERLAY_DRIVER) {
      throw new ConflictError(`${network.name} is an overlay network, which this host is a member of`, {
        hint: `rootless-net overlay leave ${network.name}`,
      });
    }
    await this.#remove(network);
  }

  /** The same for an overlay network that this host leaves; does nothing where there is none. */
  async removeOverlay(name: string, close: () => Promise<void>): Promise<void> {
    const network = (await this.deps.networks.list()).find((one) => one.name === name && one.driver === OVERLAY_DRIVER);
    if (network) await this.#requireUnused(network);
    await close();
    if (network) await this.#remove(network);
  }

  async #remove(network: Network): Promise<void> {
    const { networks, bridges, ipam, policies } = this.deps;
    if (network.name === DEFAULT_NETWORK) throw predefined(network.name);
    await this.#requireUnused(network);
    await networks.remove(network);
    await bridges.remove(network);
    await ipam.forget(network.name);
    await policies.forgetNetwork(network);
  }

  /** Throws ConflictError. */
  async #requireUnused(network: Network): Promise<void> {
    const { attacher } = this.deps;
    await attacher.finished();
    const users = await this.#usersOf(network);
    if (users.length === 1) {
      throw new ConflictError(`the network ${network.name} is in use by the container ${users[0]}; remove that first`);
    }
    if (users.length > 1) {
      const others = users.length > MAX_NAMES ? ` and ${users.length - MAX_NAMES} more` : '';
      const shown = users.slice(0, MAX_NAMES).join(', ');
      throw new ConflictError(
        `the network ${network.name} is in use by the containers ${shown}${others}; remove those first`,
      );
    }
  }

  /** Removes the networks created here that no container uses. Resolves with their names. */
  async prune(): Promise<string[]> {
    const removed: string[] = [];
    await this.deps.attacher.finished();
    for (const network of await this.deps.networks.list()) {
      if (
        !network.own ||
        network.driver === OVERLAY_DRIVER ||
        network.name === DEFAULT_NETWORK ||
        (await this.#usersOf(network)).length > 0
      )
        continue;
      await this.remove(network);
      removed.push(network.name);
    }
    return removed;
  }

  /** The problems of a network and of the attachments to it, a line each. */
  async check(network: Network): Promise<string[]> {
    const { containers, networks, attacher, cni, collisions } = this.deps;
    const problems: string[] = [];
    const attempt = async (whose: string, task: Promise<unknown>) => {
      await task.catch((error: unknown) => problems.push(`${whose}: ${errorText(error)}`));
    };
    problems.push(...(await networks.problemsOf(network.name)), ...(await collisions.of(network)));
    if (!network.bridge) await attempt(network.name, cni.status(network.list));
    for (const record of containers.store.all()) {
      const report = await containers.report(record);
      if (!report.attachments.some((attachment) => attachment.network === network.name)) continue;
      await attempt(record.name, attacher.check(record.id));
    }
    return problems;
  }

  /** As in egress.ts. */
  egressOf(network: Network): EgressReport {
    return networkEgress(network);
  }

  changeEgress(network: Network, change: RuleChange, lines: readonly string[]): Promise<EgressReport> {
    return changeNetworkEgress(this.deps, network, change, lines);
  }

  containerEgress(name: string): Promise<ContainerEgressReport> {
    return containerEgress(this.deps, name);
  }

  changeContainerEgress(name: string, change: RuleChange, lines: readonly string[]): Promise<ContainerEgressReport> {
    return changeContainerEgress(this.deps, name, change, lines);
  }

  containerLimit(name: string): Promise<LimitReport> {
    return containerLimit(this.deps, name);
  }

  changeContainerLimit(name: string, limit: string): Promise<LimitReport> {
    return changeContainerLimit(this.deps, name, limit);
  }

  /** Changes the subnets of a network. Throws ContainerError; nothing is changed then. */
  update(network: Network, update: NetworkUpdate): Promise<Network> {
    return updateNetwork(this.deps, network, update);
  }

  /** Names of the containers that request a network, running or not; those of other OCI runtimes only while they run. */
  async #usersOf(network: Network): Promise<string[]> {
    const own = membersOf(this.deps, network).map(({ name }) => name);
    return [...own, ...(await foreignMembersOf(this.deps, network))];
  }
}

function predefined(name: string): ConflictError {
  return new ConflictError(`${name} is a predefined network and cannot be removed`);
}
