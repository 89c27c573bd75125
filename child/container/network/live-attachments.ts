/** Connects running containers to further networks, and disconnects them (`network connect`, `network disconnect`). */

import { shortId } from '../../../protocol/containers/short-id.js';
import { errorText } from '../../../protocol/errors/error-text.js';
import type { CNIPortMapping } from '../../../protocol/ports/cni-json.js';
import { startTimeOf } from '../../../protocol/system/process-identity.js';
import { RouteSocket } from '../../netlink/route.js';
import { ContainerError } from '../errors.js';
import type { PortPublisher } from '../ports/port-publisher.js';
import type { Journal, JournalEntry } from '../storage/journal.js';
import type { AttachDriver, StepRunner } from './attach-driver.js';
import { type AttachRequest, aliasesOf, attachmentReport, attachmentsOf, mainNetworkOf } from './attach-request.js';
import { type AttachmentStore, type AttachState, listedAddress } from './attachment-store.js';
import { type EgressPolicies, policyRequestOf } from './egress/policies.js';
import type { PeerRegistry } from './name-files/peer-registry.js';
import type { Network } from './network.js';
import type { NetworkRegistry } from './registry.js';

export interface LiveAttachmentsDeps {
  /** Id of the stack, for the journal. */
  stack: string;
  states: AttachmentStore;
  networks: NetworkRegistry;
  driverOf: (network: Network) => AttachDriver;
  ports: PortPublisher;
  peers: PeerRegistry;
  journal: Journal;
  policies: EgressPolicies;
  /** Called when the path to a container has changed. */
  changed: () => void;
  warn: (line: string) => void;
}

export class LiveAttachments {
  constructor(private readonly deps: LiveAttachmentsDeps) {}

  /** Attaches a running container to one more network, the last one of the request. Throws ContainerError. */
  async connect(request: AttachRequest): Promise<AttachState> {
    const { id } = request;
    const { states, journal, networks, driverOf } = this.deps;
    const state = await states.state(id);
    const entry = await journal.read(id);
    const attachments = attachmentsOf(request, await networks.resolve(request.networks));
    const attachment = attachments.at(-1);
    if (!attachment) return state;
    await this.deps.policies.begin(policyRequestOf(request, attachments));
    const { ifname, network } = attachment;
    await this.#rewriteJournal(request, entry, [...(entry?.attachments ?? []), { network: network.name, ifname }]);
    try {
      const step: StepRunner = (what, task) => journal.step(id, what, task);
      const result = await driverOf(network).attach(attachment, step);
      state.results[network.name] = result;
      const before = listedAddress(state);
      state.attachments.push(attachmentReport(attachment, result));
      await this.#writeState(id, state);
      // It was on no network, so its ports are closed.
      if (before === '') await this.#republish(id, request.publish, state);
      await this.#complete(request, state);
      return state;
    } catch (error) {
      await driverOf(network).detach(attachment);
      await driverOf(network).release(attachment);
      const before = attachments.slice(0, -1).map((other) => other.network);
      await this.deps.policies.withdraw(id, ifname, before);
      await this.#rewriteJournal(request, entry, entry?.attachments ?? []);
      await journal.complete(id);
      throw error;
    }
  }

  /**
   * Detaches a running container from a network that is no longer in the request, and releases its address there. The
   * default route and the published ports then lead to another of its networks. Throws ContainerError.
   */
  async disconnect(request: AttachRequest, network: Network): Promise<AttachState> {
    const { id, netns } = request;
    const { states, journal, driverOf } = this.deps;
    const state = await states.state(id);
    const entry = await journal.read(id);
    const found = state.attachments.find((attachment) => attachment.network === network.name);
    if (!found) return state;
    const attachment = { containerId: id, ifname: found.interface, network, netns, defaultRoute: false };
    await driverOf(network).detach(attachment);
    await driverOf(network).release(attachment);
    const left = (await this.deps.networks.resolve(request.networks)).map((other) => other.network);
    await this.deps.policies.withdraw(id, found.interface, left);
    const before = listedAddress(state);
    state.attachments = state.attachments.filter((other) => other !== found);
    delete state.results[network.name];
    const remaining = (entry?.attachments ?? []).filter(({ ifname }) => ifname !== found.interface);
    await this.#rewriteJournal(request, entry, remaining);
    await this.#setDefaultRoute(request, state);
    await this.#writeState(id, state);
    if (listedAddress(state) !== before) await this.#republish(id, state.ports, state);
    await this.#complete(request, state);
    return state;
  }

  async #complete(request: AttachRequest, state: AttachState): Promise<void> {
    await this.deps.peers.join({ ...request, state, aliases: aliasesOf(request.networks) });
    await this.deps.journal.complete(request.id);
  }

  async #rewriteJournal(
    request: AttachRequest,
    entry: JournalEntry | undefined,
    attachments: JournalEntry['attachments'],
  ): Promise<void> {
    const { id, own, name, netns, pid } = request;
    const { stack, journal } = this.deps;
    const publish = entry?.publish ?? [];
    const startTime = entry?.startTime ?? startTimeOf(pid);
    await journal.begin({ id, own, stack, name, netns, pid, startTime, attachments, publish });
  }

  /** Makes the default route lead through the main network of those that remain. */
  async #setDefaultRoute({ networks, netns }: AttachRequest, { attachments, results }: AttachState): Promise<void> {
    const main = mainNetworkOf(await this.deps.networks.resolve(networks))?.name ?? '';
    const ifname = attachments.find(({ network }) => network === main)?.interface;
    const gateways = (results[main]?.ips ?? []).flatMap(({ gateway }) => gateway ?? []);
    if (ifname === undefined || gateways.length === 0) return;
    try {
      using inside = new RouteSocket(netns);
      const link = inside.link(ifname);
      if (link) inside.addDefaultRoutes(link.index, gateways);
    } catch (error) {
      throw new ContainerError(`cannot set the default route through ${main}: ${errorText(error)}`, 500);
    }
  }

  /** Publishes the same ports for the new address of the container; connections to the old one are lost anyway. */
  async #republish(id: string, publish: readonly CNIPortMapping[], state: AttachState): Promise<void> {
    state.ports = await this.#publish(id, publish, listedAddress(state));
    await this.deps.states.write(id, state);
  }

  async #publish(id: string, publish: readonly CNIPortMapping[], address: string): Promise<CNIPortMapping[]> {
    const { ports, warn } = this.deps;
    if (publish.length === 0) return [];
    try {
      if (address === '') {
        await ports.reserve(id, []);
        return [];
      }
      const published = await ports.reserve(id, publish);
      await ports.activate(id, address);
      return published;
    } catch (error) {
      warn(`the published ports of ${shortId(id)} are closed until its next start: ${errorText(error)}`);
      return [];
    }
  }

  /** To be called before connections lead to the new address: they are dialled by the state. */
  async #writeState(id: string, state: AttachState): Promise<void> {
    await this.deps.states.write(id, state);
    this.deps.changed();
  }
}
