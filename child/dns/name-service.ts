/**
 * The DNS servers of container networks, which the engine has (native/src/dns/server/servers.h): which networks are served, and
 * with which names.
 *
 * Theory of operation. A network is served from its first use on. Its sockets are bound to its gateway addresses, which need not
 * exist yet, and stay as they are until it is removed. When names change, its zone is made anew from all sources, once for
 * changes that come together, and replaces the one before at once. What a container may ask follows from its address: the
 * clients, of which only those that changed are set again.
 */
import type { Engine, EngineEvent } from '../../native/index.js';
import { answersOf, ORIGINS, type Origin } from '../../protocol/dns/origins.js';
import { zoneText } from '../../protocol/dns/zone-text.js';
import { HOST_NAMES } from '../../protocol/net/host-names.js';
import type { NameEntry, NameSource } from './name-source.js';

/**
 * Where the servers listen on their gateways: the packet filter leads port 53 of them there (network/bridge/firewall.ts), which
 * other programs in this namespace may have at every address.
 */
export const NAME_SERVER_PORT = 51_853;

export interface ServedNetwork {
  name: string;
  /** Whether servers of the stack, beside containers, can be reached from it. */
  reachesStack: boolean;
  /** The addresses of its servers. */
  gateways: readonly string[];
  /** In CIDR notation. */
  subnets: readonly string[];
  /** Whether other names are asked of the host's resolvers. */
  outside: boolean;
}

/** A container's address, and what may be asked from there. */
export interface NameClient {
  address: string;
  networks: readonly string[];
  /** Resolvers of its own, which are asked from the network namespace at that path. */
  servers: readonly string[];
  netns: string;
  /** Domains that its programs append to names, beside the host's. */
  search: readonly string[];
}

export interface NameHost {
  /** Where containers reach it. */
  addresses: readonly string[];
  /** Its search list. */
  search: readonly string[];
}

export type NameEngine = Pick<
  Engine,
  | 'openNameServer'
  | 'closeNameServer'
  | 'nameServersSettled'
  | 'setZone'
  | 'setNameClient'
  | 'removeNameClient'
  | 'nameCounters'
  | 'askName'
  | 'watchQueries'
>;

/** Longer than the engine takes at most, in ms. */
const ANSWER_TIMEOUT = 6000;

interface Served extends ServedNetwork {
  id: number;
  /** What prevents it; "" for nothing. */
  problem: string;
}

export class NameService {
  readonly #sources: NameSource[] = [];
  readonly #served = new Map<string, Served>();
  readonly #stale = new Set<string>();
  /** As they were set last, by address. */
  readonly #clients = new Map<string, string>();
  readonly #waiting = new Map<number, (answer: { message: Buffer; from: Origin }) => void>();
  /** Called when names or clients have changed, and the servers have them. */
  onUpdated: () => void = () => {};
  #listClients: () => readonly NameClient[] = () => [];
  #host: NameHost = { addresses: [], search: [] };
  #scheduled: NodeJS.Immediate | undefined;
  #nextNetwork = 1;
  #nextQuestion = 1;

  /** @param stackName the stack's, if it has one: programs of the stack are found by it at the gateways */
  constructor(
    private readonly engine: NameEngine,
    private readonly warn: (line: string) => void,
    private readonly stackName?: string | undefined,
  ) {}

  addSource(source: NameSource): void {
    this.#sources.push(source);
    for (const network of this.#served.keys()) this.changed([network]);
  }

  /** They may ask for the names of all their networks. Of each change of them changed() is to be called. */
  setClients(list: () => readonly NameClient[]): void {
    this.#listClients = list;
  }

  /** Serves a network, unless it is served. Returns the addresses of its servers; none where that is not possible. */
  serve(network: ServedNetwork): readonly string[] {
    const before = this.#served.get(network.name);
    // What has prevented it may be over.
    if (before?.problem === '' && before.gateways.join() === network.gateways.join()) return before.gateways;
    const id = before?.id ?? this.#nextNetwork++;
    if (before) this.engine.closeNameServer(id);
    const problem = this.engine.openNameServer(id, [...network.gateways], NAME_SERVER_PORT, this.#zoneOf(network));
    this.#served.set(network.name, { ...network, id, problem });
    if (problem !== '') {
      if (problem === before?.problem) return [];
      this.warn(`no DNS server for the network ${network.name}, containers have hosts files only: ${problem}`);
      return [];
    }
    this.changed([network.name]);
    return network.gateways;
  }

  /** The network is gone. */
  close(name: string): void {
    const served = this.#served.get(name);
    if (!served) return;
    this.#served.delete(name);
    this.engine.closeNameServer(served.id);
    this.onUpdated();
  }

  /** No network is served any more. */
  closeAll(): void {
    clearImmediate(this.#scheduled);
    for (const name of [...this.#served.keys()]) this.close(name);
  }

  /** All networks that an agent before this one has served are served again: answers begin. */
  settled(): void {
    clearImmediate(this.#scheduled);
    this.#update();
    this.engine.nameServersSettled();
  }

  /** Names or clients of these networks have changed. */
  changed(networks: readonly string[]): void {
    for (const network of networks) this.#stale.add(network);
    this.#scheduled ??= setImmediate(() => this.#update());
  }

  setHost(host: NameHost): void {
    if (JSON.stringify(host) === JSON.stringify(this.#host)) return;
    this.#host = host;
    this.changed([...this.#served.keys()]);
  }

  /** Of all networks that are served. */
  networkNames(): { network: string; subnets: readonly string[]; entries: NameEntry[] }[] {
    return [...this.#served.values()].map(({ name, subnets }) => ({
      network: name,
      subnets,
      entries: this.#entriesOf(name),
    }));
  }

  /** The network of that number of the engine. */
  networkOf(id: number): string | undefined {
    return [...this.#served.values()].find((served) => served.id === id)?.name;
  }

  /** Undefined for a network that is not served. */
  report(name: string): { servers: readonly string[]; problem: string; answers: Record<Origin, number> } | undefined {
    const served = this.#served.get(name);
    if (!served) return undefined;
    const { id, problem, gateways } = served;
    return { servers: problem === '' ? gateways : [], problem, answers: answersOf(this.engine.nameCounters(id)) };
  }

  /** What has that name, in text form, on a network, by the sources. */
  holdersOf(network: string, name: string): string[] {
    const wanted = name
      .toLowerCase()
      .replace(/\.$/, '')
      .replace(/\.rootless\.internal$/, '');
    const suffix = `.${network.toLowerCase()}`;
    const names = [wanted, ...(wanted.endsWith(suffix) ? [wanted.slice(0, -suffix.length)] : [])];
    return this.#entriesOf(network)
      .filter((entry) => entry.names.some((one) => names.includes(one.toLowerCase())))
      .map(({ holder }) => holder);
  }

  /** Whether the engine reports each query. */
  watchQueries(wanted: boolean): void {
    this.engine.watchQueries(wanted);
  }

  /** Asks as that client would. Resolves with undefined where the network is not served. */
  ask(network: string, query: Buffer, client: string): Promise<{ message: Buffer; from: Origin }> | undefined {
    const served = this.#served.get(network);
    if (!served) return undefined;
    const id = this.#nextQuestion++;
    return new Promise((resolve) => {
      const timer = setTimeout(() => this.#answer(id, Buffer.alloc(0), 'lost'), ANSWER_TIMEOUT);
      this.#waiting.set(id, (answer) => {
        clearTimeout(timer);
        resolve(answer);
      });
      this.engine.askName(id, served.id, query, client);
    });
  }

  onAnswer({ id, data, from }: Extract<EngineEvent, { type: 'dns-answer' }>): void {
    this.#answer(id, data, ORIGINS[from] ?? 'lost');
  }

  #answer(id: number, message: Buffer, from: Origin): void {
    this.#waiting.get(id)?.({ message, from });
    this.#waiting.delete(id);
  }

  #entriesOf(network: string): NameEntry[] {
    return this.#sources.flatMap((source) => source.entriesOf(network));
  }

  #update(): void {
    this.#scheduled = undefined;
    for (const name of this.#stale) {
      const served = this.#served.get(name);
      if (served?.problem !== '') continue;
      this.engine.setZone(served.id, this.#zoneOf(served));
    }
    this.#stale.clear();
    this.#updateClients();
    this.onUpdated();
  }

  #zoneOf({ name, outside, subnets, gateways, reachesStack }: ServedNetwork): string {
    const [entries, exact] = [this.#entriesOf(name), this.#wellKnown(outside)];
    const clients = this.#listClients().filter(({ networks }) => networks.includes(name));
    const search = [...new Set([...this.#host.search, ...clients.flatMap((client) => client.search)])];
    // A container of that name has it for itself.
    const stack = {
      names: this.stackName === undefined ? [] : [this.stackName],
      addresses: reachesStack ? gateways : [],
    };
    return zoneText({ network: name, outside, subnets, search, entries, exact, domain: [stack] });
  }

  #wellKnown(outside: boolean): NameEntry[] {
    const local = { names: ['localhost'], addresses: ['127.0.0.1', '::1'], holder: 'the client itself' };
    // On internal networks there is no way to the host.
    const addresses = outside ? this.#host.addresses : [];
    return [local, { names: HOST_NAMES, addresses, holder: 'the host' }];
  }

  #updateClients(): void {
    const gone = new Set(this.#clients.keys());
    for (const client of this.#listClients()) {
      const { address, servers, netns } = client;
      gone.delete(address);
      const networks = client.networks.map((name) => this.#served.get(name));
      const ids = networks.flatMap((served) => served?.id ?? []);
      // A network that is not served may lead outside.
      const outside = networks.some((served) => served?.outside ?? true);
      const key = JSON.stringify([ids, outside, servers, netns]);
      if (this.#clients.get(address) === key) continue;
      try {
        this.engine.setNameClient(address, ids, outside, [...servers], netns);
        this.#clients.set(address, key);
      } catch {
        // Its network namespace has ended.
        gone.add(address);
      }
    }
    for (const address of gone) {
      this.#clients.delete(address);
      this.engine.removeNameClient(address);
    }
  }
}
