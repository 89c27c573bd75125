/**
 * A container's whole network: its published ports, its interfaces, its name on the networks that it is on.
 *
 * Theory of operation. attach() writes to the journal what it is about to do, then does it step by step:
 *
 *   ports            the listeners on the host, unless they were opened before; connections wait in them
 *   … of each network, in the order given: eth0, eth1 …; see bridge-driver.ts and cni-driver.ts
 *   publish          connections go to the container's address from here on
 *   names            its peers find it, and it them
 *
 * Where a step fails everything is taken back. Where the agent dies, the next one finds the journal, and does so. Each
 * step can be done again, and taken back whether it was done or not: so both lead to the same from any point.
 */
import { join } from 'node:path';
import type { AttachmentReport, AttachmentRequest, PublishedPort } from '../../protocol/containers.js';
import { errorText } from '../../protocol/error-text.js';
import type { PublishSpec } from '../../protocol/publish-spec.js';
import { RouteSocket } from '../netlink/route.js';
import type { WayBack } from '../source-addresses.js';
import type { AttachDriver, Attachment } from './attach-driver.js';
import type { CNIResult } from './cni/types.js';
import { ContainerError, NoSuchNetworkError } from './errors.js';
import type { Faults, Step } from './faults.js';
import type { Journal, JournalEntry } from './journal.js';
import { isInternal, type Network, type Networks, usesDHCP } from './networks.js';
import type { PeerBook } from './peer-book.js';
import type { Ports } from './ports.js';
import { namesIn, readJSON, remove, writeJSON } from './state-files.js';

export interface AttachRequest {
  id: string;
  own: boolean;
  name: string;
  hostname: string;
  domainname?: string | undefined;
  extraHosts: { host: string; ip: string }[];
  /** Path, such as /proc/PID/ns/net. */
  netns: string;
  pid: number;
  networks: readonly AttachmentRequest[];
  publish: readonly PublishSpec[];
  /** What was opened on the host before; undefined where that is still to be done. */
  published?: readonly PublishedPort[] | undefined;
}

/** What a container's network has become. */
export interface AttachState {
  ports: PublishedPort[];
  attachments: AttachmentReport[];
  /** CNI results by network. */
  results: Record<string, CNIResult>;
}

export class Attachments {
  /** What was published for each container, for plugins that want to know. */
  readonly #published = new Map<string, readonly PublishSpec[]>();

  constructor(
    private readonly stack: string,
    private readonly directory: string,
    private readonly networks: Networks,
    private readonly drivers: { bridge: AttachDriver; cni: AttachDriver },
    private readonly ports: Ports,
    private readonly peers: PeerBook,
    private readonly journal: Journal,
    private readonly faults: Faults,
    private readonly warn: (line: string) => void,
  ) {}

  publishedOf(id: string): readonly PublishSpec[] {
    return this.#published.get(id) ?? [];
  }

  /** The networks that are asked for; the default one for an empty list. Throws NoSuchNetworkError and ContainerError. */
  async resolve(requests: readonly AttachmentRequest[]): Promise<{ request: AttachmentRequest; network: Network }[]> {
    if (requests.length === 0) {
      const network = await this.networks.default();
      return [{ request: { network: network.name }, network }];
    }
    const resolved = await Promise.all(
      requests.map(async (request) => ({
        request,
        network:
          request.network === 'bridge' ? await this.networks.default() : await this.networks.find(request.network),
      })),
    );
    const names = resolved.map(({ network }) => network.name);
    const twice = names.find((name, index) => names.indexOf(name) !== index);
    if (twice !== undefined) throw new ContainerError(`the network ${twice} is named twice`);
    return resolved;
  }

  /** Throws ContainerError; nothing is left then but addresses that the container held before. */
  async attach(request: AttachRequest): Promise<AttachState> {
    const { id, own, name, netns, pid, publish } = request;
    const resolved = await this.resolve(request.networks);
    const main = mainOf(resolved);
    const attachments = resolved.map((one, index) => attachmentOf(request, one, index, main));
    this.#published.set(id, publish);
    const held = (await this.journal.read(id)) !== undefined;
    try {
      await this.journal.begin({
        id,
        own,
        stack: this.stack,
        name,
        netns,
        pid,
        attachments: attachments.map(({ network, ifname }) => ({ network: network.name, ifname })),
        publish: [...publish],
      });
      const step = <T>(what: Step<'attach'>, task: () => Promise<T> | T) => this.journal.step(id, what, task);
      const state: AttachState = { ports: [...(request.published ?? [])], attachments: [], results: {} };
      if (request.published === undefined && publish.length > 0) {
        state.ports = await step('ports', () => this.ports.reserve(id, publish));
      }
      for (const attachment of attachments) {
        const result = await this.driverOf(attachment.network).attach(attachment, step);
        state.results[attachment.network.name] = result;
        state.attachments.push(report(attachment, result));
      }
      if (publish.length > 0) await step('publish', () => this.ports.activate(id, dialledAddress(state)));
      await step('names', async () => {
        await this.#writeState(id, state);
        // By the names of the networks, which may have been asked for by their ids.
        const named = attachments.map(({ network, aliases }) => ({ network: network.name, aliases }));
        await this.peers.join({ ...request, state, aliases: aliasesOf(named) });
      });
      await this.journal.complete(id);
      return state;
    } catch (error) {
      await this.detach(id, { addresses: !own && !held }).catch((also: unknown) => {
        this.warn(`what is left of ${id.slice(0, 12)} stays until the next start, or gc: ${errorText(also)}`);
      });
      throw error;
    }
  }

  /** One more network for a container that runs, the last one of those in the request. Throws ContainerError. */
  async connect(request: AttachRequest): Promise<AttachState> {
    const state = await this.state(request.id);
    const entry = await this.journal.read(request.id);
    const resolved = await this.resolve(request.networks);
    const last = resolved.at(-1);
    if (!last) return state;
    const attachment = attachmentOf(request, last, resolved.length - 1, mainOf(resolved));
    const { containerId, ifname, network } = attachment;
    await this.#rewrite(request, entry, [...(entry?.attachments ?? []), { network: network.name, ifname }]);
    try {
      const step = <T>(what: Step<'attach'>, task: () => Promise<T> | T) => this.journal.step(containerId, what, task);
      const result = await this.driverOf(network).attach(attachment, step);
      state.results[network.name] = result;
      state.attachments.push(report(attachment, result));
      await this.#writeState(containerId, state);
      await this.peers.join({ ...request, state, aliases: aliasesOf(request.networks) });
      await this.journal.complete(containerId);
      return state;
    } catch (error) {
      await this.driverOf(network).detach(attachment);
      await this.driverOf(network).release(attachment);
      await this.#rewrite(request, entry, entry?.attachments ?? []);
      await this.journal.complete(containerId);
      throw error;
    }
  }

  /**
   * Takes a running container off a network that is not in the request any more, and gives its address there back. What
   * led there, the default route and the published ports, leads to another of its networks then. Throws ContainerError.
   */
  async disconnect(request: AttachRequest, network: Network): Promise<AttachState> {
    const { id, netns } = request;
    const state = await this.state(id);
    const entry = await this.journal.read(id);
    const found = state.attachments.find((attachment) => attachment.network === network.name);
    if (!found) return state;
    const attachment = { containerId: id, ifname: found.interface, network, netns, defaultRoute: false };
    await this.driverOf(network).detach(attachment);
    await this.driverOf(network).release(attachment);
    const before = dialledAddress(state);
    state.attachments = state.attachments.filter((other) => other !== found);
    delete state.results[network.name];
    const left = (entry?.attachments ?? []).filter(({ ifname }) => ifname !== found.interface);
    await this.#rewrite(request, entry, left);
    await this.#routeByMain(request, state);
    if (dialledAddress(state) !== before) state.ports = await this.#publishAgain(id, state);
    await this.#writeState(id, state);
    await this.peers.join({ ...request, state, aliases: aliasesOf(request.networks) });
    await this.journal.complete(id);
    return state;
  }

  /**
   * Takes everything away, whatever of it there is; with `addresses` the container gives these back too. Can be repeated.
   * Throws ContainerError where something could not be taken away; the journal then still knows of it.
   */
  async detach(id: string, { addresses }: { addresses: boolean }): Promise<void> {
    const entry = await this.journal.read(id);
    const step = <T>(what: Step<'detach'>, task: () => Promise<T>) => this.faults.step('detach', what, task);
    await step('ports', () => this.ports.release(id));
    await step('names', async () => {
      await this.peers.leave(id);
      await remove(this.#stateFile(id));
    });
    this.#published.delete(id);
    // A journal that is torn to its beginning says nothing of what was done; the garbage collector finds it.
    if (!entry) return this.journal.end(id);
    await this.journal.detaching(id);
    let failure: unknown;
    for (const { network: name, ifname } of [...entry.attachments].reverse()) {
      try {
        const network = await this.#networkOf(name, id, ifname);
        // A network of ours that is gone has taken with it what was on it.
        if (!network) continue;
        const attachment = { containerId: id, ifname, network, netns: '', defaultRoute: false };
        await step(`device:${ifname}`, () => this.driverOf(network).detach(attachment));
        if (addresses) await step(`address:${ifname}`, () => this.driverOf(network).release(attachment));
      } catch (error) {
        failure ??= error;
      }
    }
    if (failure !== undefined) throw failure;
    await this.journal.end(id);
  }

  /** Gives back what a container holds on any network, or on that one alone, though it is not attached. */
  async release(id: string, only?: string): Promise<void> {
    for (const network of await this.networks.list()) {
      if (only !== undefined && network.name !== only) continue;
      await this.driverOf(network).release({ containerId: id, network });
    }
    if (only === undefined) await this.drivers.cni.releaseLost?.(id);
  }

  /** Throws a ContainerError that says what is not as it was set up. */
  async check(id: string): Promise<void> {
    const entry = await this.journal.read(id);
    for (const { network: name, ifname } of entry?.attachments ?? []) {
      const network = await this.networks.find(name);
      const attachment = { containerId: id, ifname, network, netns: entry?.netns ?? '', defaultRoute: false };
      await this.driverOf(network).check(attachment);
    }
  }

  /** What the journal knows to be on a network. */
  async on(network: Network): Promise<JournalEntry[]> {
    const entries = await Promise.all((await this.journal.ids()).map((id) => this.journal.read(id)));
    return entries
      .filter((entry) => entry !== undefined)
      .filter(({ attachments }) => attachments.some((attachment) => attachment.network === network.name));
  }

  /** Has the DHCP daemon take up the leases of a container, which is what CHECK makes of one that it does not know. */
  async renewLeases(id: string): Promise<void> {
    const entry = await this.journal.read(id);
    if (!entry?.complete || entry.detaching) return;
    for (const { network: name, ifname } of entry.attachments) {
      try {
        const network = await this.networks.find(name);
        if (!usesDHCP(network)) continue;
        const attachment = { containerId: id, ifname, network, netns: entry.netns, defaultRoute: false };
        await this.driverOf(network).check(attachment);
      } catch (error) {
        this.warn(`cannot take up the lease of ${ifname} of ${id.slice(0, 12)}: ${errorText(error)}`);
      }
    }
  }

  /** As it was set up last; empty where nothing was. */
  async state(id: string): Promise<AttachState> {
    return (await this.#readState(id)) ?? { ports: [], attachments: [], results: {} };
  }

  /** Whether everything was set up to the end, and is known. */
  async isWhole(id: string): Promise<boolean> {
    const entry = await this.journal.read(id);
    return (
      entry?.complete === true &&
      !entry.detaching &&
      this.peers.nameOf(id) !== undefined &&
      (await this.#readState(id)) !== undefined
    );
  }

  /** Undefined where it is not there, or torn. */
  async #readState(id: string): Promise<AttachState | undefined> {
    const value = (await readJSON(this.#stateFile(id))) as Partial<AttachState> | null | undefined;
    const { ports, attachments, results } = value ?? {};
    const whole = Array.isArray(ports) && Array.isArray(attachments) && typeof results === 'object' && results !== null;
    return whole ? { ports, attachments, results } : undefined;
  }

  /**
   * How answers of the container with that address come back to this namespace: undefined unless its default route leads
   * here.
   */
  async wayBack(ip: string): Promise<WayBack | undefined> {
    for (const file of await namesIn(this.directory)) {
      const id = file.replace(/\.json$/, '');
      const { attachments } = await this.state(id);
      const addresses = attachments.flatMap(({ ips }) => ips);
      if (!addresses.some((cidr) => plainAddress(cidr) === ip)) continue;
      const entry = await this.journal.read(id);
      if (!entry) return undefined;
      const everything = ip.includes(':') ? '::/0' : '0.0.0.0/0';
      using inside = new RouteSocket(entry.netns);
      const gateways = inside.routes().filter(({ destination }) => destination === everything);
      using socket = new RouteSocket();
      const here = socket
        .addresses()
        .find(({ address }) => gateways.some(({ gateway }) => gateway === plainAddress(address)));
      const device = socket.links().find(({ index }) => index === here?.index)?.name;
      return device === undefined ? undefined : { device, except: addresses };
    }
    return undefined;
  }

  driverOf(network: Network): AttachDriver {
    return network.bridge ? this.drivers.bridge : this.drivers.cni;
  }

  /** As it is, or was at the time of attaching where its file is gone or broken since; undefined where nothing says. */
  async #networkOf(name: string, id: string, ifname: string): Promise<Network | undefined> {
    try {
      return await this.networks.find(name);
    } catch (error) {
      if (error instanceof NoSuchNetworkError) return this.drivers.cni.lastKnown?.(name, id, ifname);
      throw error;
    }
  }

  async #rewrite(
    request: AttachRequest,
    entry: JournalEntry | undefined,
    attachments: JournalEntry['attachments'],
  ): Promise<void> {
    const { id, own, name, netns, pid } = request;
    const publish = entry?.publish ?? [];
    await this.journal.begin({ id, own, stack: this.stack, name, netns, pid, attachments, publish });
  }

  /** Leads the default route through the network that it is to be by now. */
  async #routeByMain({ networks, netns }: AttachRequest, { attachments, results }: AttachState): Promise<void> {
    const main = mainOf(await this.resolve(networks))?.name ?? '';
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

  /** The same ports of the host for another address of the container; connections to the old one are lost anyway. */
  async #publishAgain(id: string, state: AttachState): Promise<PublishedPort[]> {
    try {
      const ports = await this.ports.reserve(id, state.ports);
      await this.ports.activate(id, dialledAddress(state));
      return ports;
    } catch (error) {
      this.warn(`the published ports of ${id.slice(0, 12)} are closed until its next start: ${errorText(error)}`);
      return [];
    }
  }

  #writeState(id: string, state: AttachState): Promise<void> {
    return writeJSON(this.#stateFile(id), state);
  }

  #stateFile(id: string): string {
    return join(this.directory, `${id}.json`);
  }
}

/** The network that the default route leads through: the first that has a way out. */
function mainOf(resolved: readonly { network: Network }[]): Network | undefined {
  return resolved.find(({ network }) => !isInternal(network))?.network;
}

/** Name of the interface on the network that is asked for at that place of the list. */
export function interfaceOf(request: AttachmentRequest, index: number): string {
  return request.interface ?? `eth${index}`;
}

/** Further names by network. */
export function aliasesOf(networks: readonly AttachmentRequest[]): Record<string, string[]> {
  return Object.fromEntries(networks.map(({ network, aliases }) => [network, aliases ?? []]));
}

function attachmentOf(
  { id, netns }: AttachRequest,
  { request, network }: { request: AttachmentRequest; network: Network },
  index: number,
  main: Network | undefined,
): Attachment {
  const { ip, ip6, mac, aliases } = request;
  const ifname = interfaceOf(request, index);
  return { containerId: id, ifname, network, netns, ip, ip6, mac, aliases, defaultRoute: network === main };
}

function report({ network, ifname }: Attachment, result: CNIResult): AttachmentReport {
  const inside = result.interfaces?.find(({ name, sandbox }) => name === ifname && sandbox);
  return {
    network: network.name,
    interface: ifname,
    mac: inside?.mac ?? '',
    ips: (result.ips ?? []).map(({ address }) => address),
  };
}

function plainAddress(cidr: string): string {
  return cidr.replace(/\/.*$/, '');
}

/** Where connections to published ports go: the first network's address, IPv4 before IPv6. */
function dialledAddress({ attachments }: AttachState): string {
  const plain = attachments.flatMap(({ ips }) => ips).map(plainAddress);
  return plain.find((ip) => !ip.includes(':')) ?? plain[0] ?? '';
}
