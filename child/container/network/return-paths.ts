/**
 * The path of connections into containers, and the return path of what their servers send.
 *
 * Theory of operation. A container is reached at its addresses from the stack's namespace, provided that a route other than
 * the default one leads there. Where none does (a macvlan's parent device cannot reach its children; networks of other CNI
 * runtimes may assign addresses of another machine's network), sockets are created in the container's own namespace: there
 * its addresses are always local, and servers see the container itself as their client.
 *
 * Results are cached briefly, since thousands of ports may ask the same; forget() clears the cache at once.
 */
import { errorText } from '../../../protocol/errors/error-text.js';
import { addressOf, cidrContains, defaultRouteOf, parseCIDR } from '../../../protocol/net/cidr.js';
import { canonical, firstOfEachFamily } from '../../../protocol/net/ip.js';
import { startTimeOf } from '../../../protocol/system/process-identity.js';
import { RouteSocket } from '../../netlink/route.js';
import type { ReturnPath } from '../../source-address/source-addresses.js';
import type { Journal, JournalEntry } from '../storage/journal.js';
import type { AttachmentStore } from './attachment-store.js';
import type { AnswerFilter } from './bridge/answer-filter.js';

/** Where connections to a container's published ports lead. */
export interface ContainerEndpoint {
  /** One address of each family that the container has. */
  ips: string[];
  /** Path of the network namespace that sockets have to be created in; absent for the stack's. */
  netns?: string;
  /** Path of the container's own network namespace. */
  inside: string;
}

const CACHE_MS = 1000;
const MAX_CACHED = 4096;
/** Kinds of devices that cannot communicate with their parent device (ip-link(8)). */
const ISOLATED_FROM_PARENT = ['macvlan', 'macvtap', 'ipvlan', 'ipvtap'];

export class ReturnPaths {
  readonly #endpoints = new Cache<ContainerEndpoint | undefined>();
  readonly #returnPaths = new Cache<ReturnPath | undefined>();

  constructor(
    private readonly states: AttachmentStore,
    private readonly journal: Journal,
    private readonly answers: AnswerFilter,
    private readonly warn: (line: string) => void,
  ) {}

  /** To be called when the network of a container has changed. */
  forget(): void {
    this.#endpoints.clear();
    this.#returnPaths.clear();
  }

  /** Undefined if the container is on no network. */
  endpointOf(id: string): Promise<ContainerEndpoint | undefined> {
    return this.#endpoints.get(id, () => this.#findEndpoint(id));
  }

  /** Path of the network namespace of a container; undefined where it does not run. */
  async netnsOf(id: string): Promise<string | undefined> {
    return (await this.#runningEntry(id))?.netns;
  }

  async #findEndpoint(id: string): Promise<ContainerEndpoint | undefined> {
    const { attachments } = await this.states.state(id);
    const entry = await this.#runningEntry(id);
    if (entry === undefined || attachments.length === 0) return undefined;
    const all = attachments.flatMap(({ interface: ifname, ips }) =>
      ips.map((cidr) => ({ ifname, ip: addressOf(cidr) })),
    );
    const reachable = this.#reachable(entry.netns, all);
    if (reachable.length > 0) return { ips: firstOfEachFamily(reachable), inside: entry.netns };
    return { ips: firstOfEachFamily(all.map(({ ip }) => ip)), netns: entry.netns, inside: entry.netns };
  }

  /**
   * The return path from the container with that address to this namespace; undefined unless its default route leads here.
   * @param container its id; "" if it is not known
   */
  returnPath(ip: string, container: string): Promise<ReturnPath | undefined> {
    return this.#returnPaths.get(ip, () => this.#findWayBack(ip, container));
  }

  async #findWayBack(ip: string, container: string): Promise<ReturnPath | undefined> {
    for (const id of container === '' ? await this.states.ids() : [container]) {
      const { attachments } = await this.states.state(id);
      const addresses = attachments.flatMap(({ ips }) => ips);
      if (!addresses.some((cidr) => canonical(addressOf(cidr)) === canonical(ip))) continue;
      const entry = await this.#runningEntry(id);
      if (!entry) return undefined;
      const defaultRoute = defaultRouteOf(ip);
      using inside = new RouteSocket(entry.netns);
      const gateways = inside.routes().filter(({ destination }) => destination === defaultRoute);
      using socket = new RouteSocket();
      const here = socket
        .addresses()
        .find(({ address }) => gateways.some(({ gateway }) => gateway === addressOf(address)));
      const device = socket.links().find(({ index }) => index === here?.index)?.name;
      if (device === undefined) return undefined;
      await this.answers.mark(device);
      return { device, except: addresses };
    }
    return undefined;
  }

  /** Those of the addresses that a route of this namespace leads to. */
  #reachable(netns: string, all: readonly { ifname: string; ip: string }[]): string[] {
    try {
      using socket = new RouteSocket();
      const routes = socket.routes().filter(({ destination }) => !destination.endsWith('/0'));
      using inside = new RouteSocket(netns);
      const links = inside.links();
      return all
        .filter(({ ifname, ip }) => {
          const [best] = routes
            .filter(({ destination }) => cidrContains(destination, ip))
            .sort((a, b) => prefixOf(b.destination) - prefixOf(a.destination));
          if (best === undefined) return false;
          const link = links.find(({ name }) => name === ifname);
          return !(link && ISOLATED_FROM_PARENT.includes(link.kind) && link.parent === best.index);
        })
        .map(({ ip }) => ip);
    } catch (error) {
      this.warn(`cannot determine the route to a container: ${errorText(error)}`);
      return all.map(({ ip }) => ip);
    }
  }

  /** The journal entry of a running container; its pid may be reused by another process. */
  async #runningEntry(id: string): Promise<JournalEntry | undefined> {
    const entry = await this.journal.read(id);
    if (!entry || entry.detaching || entry.startTime === '') return undefined;
    return startTimeOf(entry.pid) === entry.startTime ? entry : undefined;
  }
}

/** Values that expire. */
class Cache<T> {
  readonly #values = new Map<string, { until: number; value: Promise<T> }>();

  get(key: string, find: () => Promise<T>): Promise<T> {
    const now = performance.now();
    const known = this.#values.get(key);
    if (known && now < known.until) return known.value;
    if (this.#values.size >= MAX_CACHED) this.#values.clear();
    const value = find();
    this.#values.set(key, { until: now + CACHE_MS, value });
    return value;
  }

  clear(): void {
    this.#values.clear();
  }
}

function prefixOf(cidr: string): number {
  return parseCIDR(cidr)?.subnet.prefix ?? 0;
}
