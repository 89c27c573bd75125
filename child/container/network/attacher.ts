/**
 * Attaches a container to its networks: its published ports, its interfaces, and its names on each network.
 *
 * Theory of operation. attach() writes to the journal what it is about to do, then does it in steps:
 *
 *   ports            the listeners on the host, unless they are open already; connections wait in them
 *   …                the steps of each network's driver, in the order requested: eth0, eth1 …; see bridge/ and cni/
 *   publish          from here on, connections lead to the container's address
 *   names            the container and its peers find each other by name
 *
 * The first two run at the same time, and so do the last two.
 *
 * If a step fails, all of them are rolled back. If the agent dies, the next one finds the journal and does the same. Each
 * step can be repeated, and can be undone whether it was done or not, so that recovery works from any point.
 */

import { shortId } from '../../../protocol/containers/short-id.js';
import type { AttachmentRequest } from '../../../protocol/containers/types.js';
import { errorText } from '../../../protocol/errors/error-text.js';
import type { CNIPortMapping } from '../../../protocol/ports/cni-json.js';
import { startTimeOf } from '../../../protocol/system/process-identity.js';
import { ContainerError, NoSuchNetworkError } from '../errors.js';
import type { PortPublisher } from '../ports/port-publisher.js';
import type { FaultInjector, Step } from '../storage/fault-injection.js';
import type { Journal, JournalEntry } from '../storage/journal.js';
import type { Sweep, Sweepable } from '../storage/sweepable.js';
import type { AttachDriver, Attachment, StepRunner } from './attach-driver.js';
import { type AttachRequest, aliasesOf, attachmentReport, attachmentsOf } from './attach-request.js';
import { type AttachmentStore, type AttachState, listedAddress } from './attachment-store.js';
import { AttachedPolicies } from './egress/attached-policies.js';
import { type EgressPolicies, policyRequestOf } from './egress/policies.js';
import { LiveAttachments } from './live-attachments.js';
import type { PeerRegistry } from './name-files/peer-registry.js';
import { type Network, OVERLAY_DRIVER, type ResolvedAttachment, usesDHCP } from './network.js';
import type { NetworkRegistry } from './registry.js';

export interface AttacherDeps {
  /** Id of the stack, for the journal. */
  stack: string;
  states: AttachmentStore;
  networks: NetworkRegistry;
  drivers: { bridge: AttachDriver; overlay: AttachDriver; cni: AttachDriver };
  ports: PortPublisher;
  peers: PeerRegistry;
  journal: Journal;
  faults: FaultInjector;
  policies: EgressPolicies;
  /** Called when the path to a container has changed. */
  changed: () => void;
  warn: (line: string) => void;
}

interface DetachOptions {
  /** Whether its addresses are released. */
  addresses: boolean;
  /** Whether it is a container of this engine. */
  own: boolean;
}

export class Attacher implements Sweepable {
  /** What each container publishes, for the plugins that need it. */
  readonly #published = new Map<string, readonly CNIPortMapping[]>();
  /** What remains to be done of detach(), by container. */
  readonly #finishing = new Map<string, Promise<void>>();
  /** Interfaces that are cut off, and that the kernel has yet to remove. */
  readonly #removals = new Set<Promise<void>>();
  readonly #live: LiveAttachments;
  /** Egress policies of those that are attached. */
  readonly policies: AttachedPolicies;

  constructor(private readonly deps: AttacherDeps) {
    this.#live = new LiveAttachments({ ...deps, driverOf: (network) => this.driverOf(network) });
    this.policies = new AttachedPolicies({ ...deps, cutOff: (attachment) => deps.drivers.bridge.cutOff?.(attachment) });
  }

  /** The requested networks. Throws NoSuchNetworkError and ContainerError. */
  resolve(requests: readonly AttachmentRequest[]): Promise<ResolvedAttachment[]> {
    return this.deps.networks.resolve(requests);
  }

  publishedOf(id: string): readonly CNIPortMapping[] {
    return this.#published.get(id) ?? [];
  }

  /** Throws ContainerError; nothing remains then but addresses that the container held before. */
  async attach(request: AttachRequest): Promise<AttachState> {
    const { id, own, publish } = request;
    const { stack, networks, journal, warn } = this.deps;
    const attachments = attachmentsOf(request, await networks.resolve(request.networks));
    await this.#finishing.get(id);
    this.#published.set(id, publish);
    const held = (await journal.read(id)) !== undefined;
    try {
      await journal.begin({
        id,
        own,
        stack,
        name: request.name,
        netns: request.netns,
        pid: request.pid,
        startTime: startTimeOf(request.pid),
        attachments: attachments.map(({ network, ifname }) => ({ network: network.name, ifname })),
        publish: [...publish],
      });
      await this.deps.policies.begin(policyRequestOf(request, attachments));
      const state = await this.#runSteps(request, attachments);
      await journal.complete(id);
      return state;
    } catch (error) {
      await this.detach(id, { addresses: !own && !held, own }).catch((also: unknown) => {
        warn(`what remains of ${shortId(id)} is kept until the next start, or gc: ${errorText(also)}`);
      });
      throw error;
    }
  }

  async #runSteps(request: AttachRequest, attachments: ReturnType<typeof attachmentsOf>): Promise<AttachState> {
    const { id, name, publish, published } = request;
    const { journal, ports, peers } = this.deps;
    const step: StepRunner = (what, task) => journal.step(id, what, task);
    const state: AttachState = { ports: [...(published ?? [])], attachments: [], results: {} };
    const open = async () => {
      if (published !== undefined || publish.length === 0) return;
      state.ports = await step('ports', () => ports.reserve(id, publish));
    };
    const connect = async () => {
      for (const attachment of attachments) {
        const result = await this.driverOf(attachment.network).attach(attachment, step);
        state.results[attachment.network.name] = result;
        state.attachments.push(attachmentReport(attachment, result));
      }
    };
    // What the parent does takes it some time.
    await allOf(open(), connect());
    // Before connections lead there: they are dialled by the state.
    await this.deps.states.write(id, state);
    this.deps.changed();
    const publishPorts = async () => {
      if (state.ports.length > 0) await step('publish', () => ports.activate(id, reachableAddress(name, state)));
    };
    const join = () =>
      step('names', async () => {
        // By the names of the networks, which may have been requested by their ids.
        const named = attachments.map(({ network, aliases }) => ({ network: network.name, aliases }));
        await peers.join({ ...request, state, aliases: aliasesOf(named) });
      });
    await allOf(publishPorts(), join());
    return state;
  }

  /** Attaches a running container to one more network, the last one of the request. Throws ContainerError. */
  connect(request: AttachRequest): Promise<AttachState> {
    return this.#live.connect(request);
  }

  /**
   * Detaches a running container from a network that is no longer in the request, and releases its address there. The
   * default route and the published ports then lead to another of its networks. Throws ContainerError.
   */
  disconnect(request: AttachRequest, network: Network): Promise<AttachState> {
    return this.#live.disconnect(request, network);
  }

  /**
   * Detaches a container from all of its networks, whatever of that exists; with `addresses` it also releases its addresses.
   * An interface may exist a moment longer, cut off; see finished(). Can be repeated. Throws ContainerError if something could
   * not be removed; it then remains in the journal.
   */
  async detach(id: string, options: DetachOptions): Promise<void> {
    await this.#finishing.get(id);
    const entry = await this.#close(id, options);
    if (entry) await this.#removeInterfaces(entry, options);
  }

  /**
   * Like detach(), but resolves when connections no longer lead to the container, nor its names: its interfaces are removed,
   * for which the kernel waits, and then its addresses are released, while others continue; see isFinishing(). What cannot be
   * removed is warned of, and remains in the journal.
   */
  async detachAside(id: string, options: DetachOptions): Promise<void> {
    await this.#finishing.get(id);
    const entry = await this.#close(id, options);
    if (!entry) return;
    const finishing = this.#removeInterfaces(entry, options)
      .catch((error: unknown) => this.deps.warn(`cannot detach ${shortId(id)}, gc retries: ${errorText(error)}`))
      .finally(() => this.#finishing.delete(id));
    this.#finishing.set(id, finishing);
  }

  /** Whether a container is still being detached by detachAside(). */
  isFinishing(id: string): boolean {
    return this.#finishing.has(id);
  }

  /** Resolves when no container is, and the interfaces of those that were detached are gone. */
  async finished(): Promise<void> {
    while (this.#finishing.size + this.#removals.size > 0) {
      await Promise.all([...this.#finishing.values(), ...this.#removals]);
    }
  }

  /** The steps of detach() for which nothing is waited; resolves with what is left to be undone. */
  async #close(id: string, { own }: DetachOptions): Promise<JournalEntry | undefined> {
    const { journal, faults, ports, peers, states, changed } = this.deps;
    const entry = await journal.read(id);
    const step = <T>(what: Step<'detach'>, task: () => Promise<T>) => faults.step('detach', what, task);
    await step('ports', () => ports.release(id));
    await step('names', async () => {
      await peers.leave(id, { own });
      await states.remove(id);
    });
    changed();
    this.#published.delete(id);
    // A journal that is torn at its beginning does not contain what was done; the garbage collector finds it.
    if (!entry) {
      await this.deps.policies.end(id);
      await journal.end(id);
    } else await journal.detaching(id);
    return entry;
  }

  async #removeInterfaces({ id, attachments }: JournalEntry, { addresses }: DetachOptions): Promise<void> {
    const { journal, faults } = this.deps;
    const step = <T>(what: Step<'detach'>, task: () => Promise<T>) => faults.step('detach', what, task);
    let failure: unknown;
    for (const { network: name, ifname } of [...attachments].reverse()) {
      try {
        const network = await this.#networkOf(name, id, ifname);
        // With a removed bridge network, its devices are removed, too.
        if (!network) continue;
        const attachment = { containerId: id, ifname, network, netns: '', defaultRoute: false };
        await step(`device:${ifname}`, () => this.#removeInterface(attachment));
        if (addresses) await step(`address:${ifname}`, () => this.driverOf(network).release(attachment));
      } catch (error) {
        failure ??= error;
      }
    }
    if (failure !== undefined) throw failure;
    // Interfaces that the kernel has yet to remove are down.
    await this.deps.policies.end(id);
    await journal.end(id);
  }

  /** Resolves when it is gone or, where the driver can cut it off, at once: the kernel takes time to remove it. */
  async #removeInterface(attachment: Attachment): Promise<void> {
    const { containerId, ifname, network } = attachment;
    const driver = this.driverOf(network);
    if (!driver.cutOff) return driver.detach(attachment);
    driver.cutOff(attachment);
    const removal = driver
      .detach(attachment)
      .catch((error: unknown) => {
        this.deps.warn(`cannot remove ${ifname} of ${shortId(containerId)}, gc retries: ${errorText(error)}`);
      })
      .finally(() => this.#removals.delete(removal));
    this.#removals.add(removal);
  }

  /** Releases the addresses that a container holds without being attached, on all networks or on one. */
  async release(id: string, only?: string): Promise<void> {
    for (const network of await this.deps.networks.list()) {
      if (only !== undefined && network.name !== only) continue;
      await this.driverOf(network).release({ containerId: id, network });
    }
    if (only === undefined) await this.deps.drivers.cni.releaseLost?.(id);
  }

  /** Finds networks of containers that do not run, by the journal. */
  async sweep({ containers, report }: Sweep): Promise<void> {
    for (const id of await this.deps.journal.ids()) {
      if (await containers.isLive(id)) continue;
      // Containers of this engine keep their addresses until they are removed.
      const own = containers.isOwn(id);
      await report('attachment', `network of ${shortId(id)}, which does not run`, () =>
        containers.unlessLive(id, () => this.detach(id, { addresses: !own, own })),
      );
    }
  }

  /** Throws a ContainerError that describes the first deviation from what was set up. */
  async check(id: string): Promise<void> {
    const entry = await this.deps.journal.read(id);
    for (const { network: name, ifname } of entry?.attachments ?? []) {
      const network = await this.deps.networks.find(name);
      const attachment = { containerId: id, ifname, network, netns: entry?.netns ?? '', defaultRoute: false };
      await this.driverOf(network).check(attachment);
    }
  }

  /** The journal entries of the containers on a network. */
  async on(network: Network): Promise<JournalEntry[]> {
    const { journal } = this.deps;
    const entries = await Promise.all((await journal.ids()).map((id) => journal.read(id)));
    return entries
      .filter((entry) => entry !== undefined)
      .filter(({ attachments }) => attachments.some((attachment) => attachment.network === network.name));
  }

  /** Makes the DHCP daemon adopt the leases of a container: CHECK of a lease that it does not know does that. */
  async renewLeases(id: string): Promise<void> {
    const entry = await this.deps.journal.read(id);
    if (!entry?.complete || entry.detaching) return;
    for (const { network: name, ifname } of entry.attachments) {
      try {
        const network = await this.deps.networks.find(name);
        if (!usesDHCP(network)) continue;
        const attachment = { containerId: id, ifname, network, netns: entry.netns, defaultRoute: false };
        await this.driverOf(network).check(attachment);
      } catch (error) {
        this.deps.warn(`cannot renew the lease of ${ifname} of ${shortId(id)}: ${errorText(error)}`);
      }
    }
  }

  /** As it was last set up; empty where nothing was. */
  state(id: string): Promise<AttachState> {
    return this.deps.states.state(id);
  }

  /** Whether a container was attached completely, and its state can be read. */
  async isWhole(id: string): Promise<boolean> {
    const entry = await this.deps.journal.read(id);
    return (
      entry?.complete === true &&
      !entry.detaching &&
      this.deps.peers.nameOf(id) !== undefined &&
      (await this.deps.states.read(id)) !== undefined
    );
  }

  driverOf(network: Network): AttachDriver {
    const { bridge, overlay, cni } = this.deps.drivers;
    if (network.driver === OVERLAY_DRIVER) return overlay;
    return network.bridge ? bridge : cni;
  }

  /** As it is, or as it was when attached where its file is missing or invalid now; undefined if neither is known. */
  async #networkOf(name: string, id: string, ifname: string): Promise<Network | undefined> {
    try {
      return await this.deps.networks.find(name);
    } catch (error) {
      if (error instanceof NoSuchNetworkError) return this.deps.drivers.cni.lastKnown?.(name, id, ifname);
      throw error;
    }
  }
}

/** Like Promise.all(), but settles when all have: nothing may be under way when one that failed is undone. */
async function allOf(...tasks: readonly Promise<void>[]): Promise<void> {
  await Promise.allSettled(tasks);
  await Promise.all(tasks);
}

/** Like listedAddress(). Throws ContainerError if there is none: connections would lead to the stack itself. */
function reachableAddress(name: string, state: AttachState): string {
  const address = listedAddress(state);
  if (address === '')
    throw new ContainerError(`ports of ${name} cannot be published: it has no address on its networks`);
  return address;
}
