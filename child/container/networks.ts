/**
 * The networks that containers can be on: network configuration lists in the user's CNI directory, ours and those of
 * other CNI runtimes. Ours can be used by others, with the real plugins; they carry a mark, by which we know them again
 * and attach to them ourselves.
 */
import { createHash } from 'node:crypto';
import { basename, extname, join } from 'node:path';
import type { NetworkRequest } from '../../protocol/containers.js';
import { RouteSocket } from '../netlink/route.js';
import { type ConfProblem, readConfDir } from './cni/conflist.js';
import { isObject } from './cni/errors.js';
import type { ConfList, PluginConf } from './cni/types.js';
import { ConflictError, ContainerError, NoSuchNetworkError } from './errors.js';
import type { FirewallBridge } from './firewall.js';
import { canonical } from './ip-address.js';
import type { IpamRange as Range } from './ipam.js';
import { KeyedLock } from './lock.js';
import { remove, writeLastingJSON } from './state-files.js';
import {
  contains,
  firstFreeSubnet,
  firstHost,
  formatSubnet,
  hostIn,
  overlaps,
  parseSubnet,
  ranges,
  ulaSubnet,
} from './subnets.js';

const DEFAULT_NETWORK = 'bridge';
/** Where the default network and those after it look for a free subnet. */
const FIRST_SUBNET = '10.4.0.0/24';
const SECOND_SUBNET = '10.4.1.0/24';
const PSEUDO = ['host', 'none'];
const MARK = 'rootlessNet';

/** What we write to our lists beside what the specification knows. */
interface Mark {
  labels: Record<string, string>;
  auxAddresses: string[];
  icc: boolean;
  /** Where containers ask for their addresses: what these can belong to. */
  subnets?: NetworkSubnet[];
}

interface NetworkSubnet {
  subnet: string;
  gateway?: string | undefined;
}

export interface Network {
  name: string;
  /** SHA-256 of the name, as nerdctl has it. */
  id: string;
  /** Type of its first plugin. */
  driver: string;
  own: boolean;
  file: string;
  list: ConfList;
  labels: Record<string, string>;
  /** Where we attach to it ourselves; else the plugins do. */
  bridge?: BridgeNetwork;
}

export interface BridgeNetwork {
  device: string;
  /** In bytes; 0 for that of the stack's network. */
  mtu: number;
  internal: boolean;
  /** Whether its containers may reach each other. */
  icc: boolean;
  /** One for each family. */
  rangeSets: Range[][];
}

export class Networks {
  readonly #locks = new KeyedLock();
  /** Files whose problems were told of. */
  readonly #told = new Set<string>();

  constructor(
    private readonly confDir: string,
    /** Where addresses are kept. */
    private readonly ipamDir: string,
    private readonly warn: (line: string) => void,
  ) {}

  /** By file name. Broken files are told of once, and left out. */
  async list(): Promise<Network[]> {
    const { networks, problems } = await this.#read();
    for (const problem of problems) {
      if (!this.#told.has(problem.file)) this.warn(describe(problem));
      this.#told.add(problem.file);
    }
    return networks.map(({ file, list }) => networkOf(list, file));
  }

  /** What is wrong with files that would be the network, a line for each that is left out. */
  async problemsOf(name: string): Promise<string[]> {
    const { problems } = await this.#read();
    // One that cannot be read is known by the name of its file only: nerdctl-NAME.conflist, 10-NAME.conf …
    const isOf = (problem: ConfProblem) => {
      const base = basename(problem.file, extname(problem.file));
      return problem.name === undefined ? base === name || base.endsWith(`-${name}`) : problem.name === name;
    };
    return problems.filter(isOf).map(describe);
  }

  /** By name, id, or the beginning of an id. Throws NoSuchNetworkError, and ConflictError for the beginning of several. */
  async find(text: string): Promise<Network> {
    const networks = await this.list();
    const exact = networks.find(({ name, id }) => name === text || id === text);
    if (exact) return exact;
    const matching = networks.filter(({ id }) => /^[0-9a-f]{3,}$/.test(text) && id.startsWith(text));
    if (matching.length > 1)
      throw new ConflictError(`multiple networks found with the prefix ${text}; name more of the id`);
    if (matching[0]) return matching[0];
    throw new NoSuchNetworkError(text, (await this.problemsOf(text))[0]);
  }

  /** The network that containers are on when they ask for none; made at the first use. */
  default(): Promise<Network> {
    return this.#locks.run('create', async () => {
      const existing = (await this.list()).find(({ name }) => name === DEFAULT_NETWORK);
      return existing ?? this.#create({ ...EMPTY_REQUEST, name: DEFAULT_NETWORK }, FIRST_SUBNET);
    });
  }

  /** Throws ContainerError (and SubnetError, ConflictError); nothing is made then. */
  create(request: NetworkRequest): Promise<Network> {
    return this.#locks.run('create', () => {
      return this.#create(request, request.name === DEFAULT_NETWORK ? FIRST_SUBNET : SECOND_SUBNET);
    });
  }

  async remove(network: Network): Promise<void> {
    if (!network.own)
      throw new ConflictError(
        `the network ${network.name} is managed by somebody else (${network.file}) and cannot be removed here`,
      );
    await remove(network.file);
  }

  #read() {
    // nerdctl keeps those of its default namespace in a directory of their own.
    return readConfDir([this.confDir, join(this.confDir, 'default')]);
  }

  async #create(request: NetworkRequest, firstSubnet: string): Promise<Network> {
    const networks = await this.list();
    if (PSEUDO.includes(request.name))
      throw new ContainerError(`the name ${request.name} stands for no network of its own; choose another one`);
    if (networks.some(({ name }) => name === request.name)) {
      throw new ConflictError(
        `network with name ${request.name} already exists; remove it first, or choose another name`,
      );
    }
    const used = usedSubnets(networks);
    const list = makeList(request, this.ipamDir, (subnets) => chooseSubnets(request, subnets, used, firstSubnet));
    const file = join(this.confDir, `rootless-net-${request.name}.conflist`);
    await writeLastingJSON(file, list, 0o644);
    return networkOf(list, file);
  }
}

const EMPTY_REQUEST: NetworkRequest = {
  name: '',
  driver: 'bridge',
  subnets: [],
  gateways: [],
  ipRanges: [],
  auxAddresses: [],
  ipv6: false,
  internal: false,
  icc: true,
  labels: {},
  options: {},
  ipamDriver: 'default',
};

/**
 * Range sets of the plugin's host-local configuration, in either of its forms; none where it is another's. What is none in
 * files of others is left out: host-local will say what is wrong when it is used.
 */
export function rangeSetsOf(plugin: PluginConf | undefined): Range[][] {
  const ipam = plugin?.ipam;
  if (ipam?.type !== 'host-local') return [];
  const sets: unknown[] = Array.isArray(ipam.ranges) ? ipam.ranges : [[ipam]];
  // Those of others may be anything; host-local itself says what is wrong with them.
  return sets.map((set) => (Array.isArray(set) ? set.filter(isRange) : [])).filter((set) => set.length > 0);
}

function isRange(value: unknown): value is Range {
  if (!isObject(value) || typeof value.subnet !== 'string' || !isSubnet(value.subnet)) return false;
  return [value.gateway, value.rangeStart, value.rangeEnd].every((ip) => ip === undefined || typeof ip === 'string');
}

function isSubnet(text: string): boolean {
  try {
    return overlaps(text, text);
  } catch {
    return false;
  }
}

function labelsOf(value: unknown): Record<string, string> {
  const entries = isObject(value) ? Object.entries(value) : [];
  return Object.fromEntries(entries.filter((entry): entry is [string, string] => typeof entry[1] === 'string'));
}

/** The subnets of a network, one for each range set. */
export function subnetsOf({ list }: Network): NetworkSubnet[] {
  const asked = (list[MARK] as Mark | undefined)?.subnets ?? [];
  const given = list.plugins.flatMap((plugin) =>
    rangeSetsOf(plugin).flatMap(([range]) => (range ? [{ subnet: range.subnet, gateway: range.gateway }] : [])),
  );
  return [...asked, ...given];
}

/** What the packet filter is to know of a network of ours. */
export function firewallBridge(network: Network): FirewallBridge | undefined {
  if (!network.bridge) return undefined;
  const { device, internal, icc } = network.bridge;
  return { device, internal, icc, subnets: subnetsOf(network).map(({ subnet }) => subnet) };
}

/** Whether the daemon of the plugin dhcp has leases of its containers. */
export function usesDHCP({ list }: Network): boolean {
  return list.plugins.some(({ ipam }) => ipam?.type === 'dhcp');
}

/** Whether containers have to say which addresses they want, and so how long the prefix of these is. */
export function usesStatic({ list }: Network): boolean {
  return list.plugins.some(({ ipam }) => ipam?.type === 'static');
}

export function isInternal({ bridge, list }: Network): boolean {
  if (bridge) return bridge.internal;
  const [first] = list.plugins;
  if (first?.ipam?.type !== 'host-local' || first.isDefaultGateway === true) return false;
  const routes: unknown[] = Array.isArray(first.ipam.routes) ? first.ipam.routes : [];
  return !routes.some((route) => isObject(route) && /\/0$/.test(String(route.dst)));
}

function describe({ file, what }: ConfProblem): string {
  return `${file} is left out: ${what}`;
}

/** @param file "" where it is gone */
export function networkOf(list: ConfList, file: string): Network {
  const [first] = list.plugins;
  const mark = isObject(list[MARK]) ? (list[MARK] as Partial<Mark>) : undefined;
  const rangeSets = rangeSetsOf(first);
  const network: Network = {
    name: list.name,
    id: createHash('sha256').update(list.name).digest('hex'),
    driver: first?.type ?? '',
    own: mark !== undefined,
    file,
    list,
    labels: labelsOf(mark?.labels ?? list.nerdctlLabels),
  };
  if (mark === undefined || first?.type !== 'bridge' || typeof first.bridge !== 'string') return network;
  if (rangeSets.length === 0) return network;
  return {
    ...network,
    bridge: {
      device: first.bridge,
      mtu: Number(first.mtu ?? 0),
      internal: first.isGateway !== true,
      icc: mark.icc !== false,
      rangeSets,
    },
  };
}

interface UsedSubnet {
  subnet: string;
  by: string;
  /** Whether the kernel has it, not a network. */
  live?: boolean;
}

function usedSubnets(networks: readonly Network[]): UsedSubnet[] {
  const configured: UsedSubnet[] = networks.flatMap((network) =>
    subnetsOf(network).map(({ subnet }) => ({ subnet, by: `the network ${network.name}` })),
  );
  using socket = new RouteSocket();
  const live = socket
    .routes()
    .filter(({ destination }) => !/\/0$/.test(destination) && !destination.startsWith('fe80:'))
    .map(({ destination }) => ({ subnet: destination, by: 'a route that is in use', live: true }));
  return [...configured, ...live];
}

/** The subnets of a new network. Throws SubnetError and ConflictError. */
function chooseSubnets(
  request: NetworkRequest,
  asked: readonly string[],
  used: readonly UsedSubnet[],
  firstSubnet: string,
): string[] {
  const subnets = asked.map((text) => formatSubnet(parseSubnet(text)));
  // With macvlan containers are on the network of its parent, which has a route here.
  const others = request.driver === 'macvlan' ? used.filter(({ live }) => !live) : used;
  for (const subnet of subnets) {
    const other = others.find((entry) => overlaps(entry.subnet, subnet));
    if (other)
      throw new ConflictError(`the subnet ${subnet} overlaps with ${other.subnet} of ${other.by}; choose another one`);
  }
  const taken = [...used.map(({ subnet }) => subnet), ...subnets];
  if (!subnets.some((subnet) => !isV6(subnet))) subnets.unshift(firstFreeSubnet(firstSubnet, taken));
  if (request.ipv6 && !subnets.some(isV6)) subnets.push(ulaSubnet(`rootless-net ${request.name}`));
  for (const v6 of [false, true]) {
    if (subnets.filter((subnet) => isV6(subnet) === v6).length > 1) {
      throw new ContainerError(`a network has one subnet of each family; ${asked.join(', ')} were given`);
    }
  }
  return subnets;
}

const DRIVER_OPTIONS: Readonly<Record<string, readonly string[]>> = {
  bridge: ['mtu'],
  macvlan: ['mtu', 'parent', 'mode'],
};
/** What every link with IPv6 has to carry (RFC 8200, section 5). */
const IPV6_MTU = 1280;
const IPAM_DRIVERS = ['default', 'host-local', 'dhcp', 'static'];

/** The list of a new network. Throws ContainerError. */
function makeList(
  request: NetworkRequest,
  dataDir: string,
  choose: (subnets: readonly string[]) => string[],
): ConfList {
  const { name, driver, options, internal, icc, labels, auxAddresses, ipamDriver } = request;
  const known = DRIVER_OPTIONS[driver];
  if (!known)
    throw new ContainerError(`unsupported network driver ${JSON.stringify(driver)}; choose bridge or macvlan`);
  const strange = Object.keys(options).find((key) => !known.includes(key));
  if (strange !== undefined) {
    throw new ContainerError(
      `unsupported ${driver} network option ${JSON.stringify(strange)}; known are ${known.join(', ')}`,
    );
  }
  if (!IPAM_DRIVERS.includes(ipamDriver)) {
    throw new ContainerError(
      `unsupported IPAM driver ${JSON.stringify(ipamDriver)}; choose one of ${IPAM_DRIVERS.join(', ')}`,
    );
  }
  const mtu = options.mtu === undefined ? undefined : Number(options.mtu);
  if (mtu !== undefined && !(Number.isInteger(mtu) && mtu >= 68 && mtu <= 65_535)) {
    throw new ContainerError(`the mtu ${options.mtu} is not between 68 and 65535`);
  }
  if (mtu !== undefined && mtu < IPV6_MTU && (request.ipv6 || request.subnets.some(isV6))) {
    throw new ContainerError(`the mtu ${mtu} is too small for IPv6, which needs ${IPV6_MTU}`);
  }
  const local = ipamDriver === 'default' || ipamDriver === 'host-local';
  if (ipamDriver === 'dhcp' && request.subnets.length + request.gateways.length + request.ipRanges.length > 0) {
    throw new ContainerError('the IPAM driver dhcp takes no subnets; leave out --subnet, --gateway and --ip-range');
  }
  if (!local && driver === 'bridge')
    throw new ContainerError(`a bridge of ours needs the IPAM driver host-local, not ${ipamDriver}`);
  const asked = ipamDriver === 'static' ? staticSubnets(request) : undefined;
  const ipam = local
    ? localIpam(request, dataDir, choose(request.subnets))
    : { type: ipamDriver, ...(asked && !internal ? { routes: asked.map(defaultRoute) } : {}) };
  const mark: Mark = { labels, auxAddresses, icc, ...(asked ? { subnets: asked } : {}) };
  const plugins =
    driver === 'bridge' ? bridgePlugins(name, mtu, internal, icc, ipam) : [macvlanPlugin(options, mtu, ipam)];
  return { cniVersion: '1.0.0', name, [MARK]: mark, plugins };
}

/** Throws ContainerError and SubnetError. */
function staticSubnets({ subnets, gateways, ipRanges, auxAddresses }: NetworkRequest): NetworkSubnet[] {
  if (subnets.length === 0) {
    throw new ContainerError('the IPAM driver static needs --subnet, for the addresses that containers ask for');
  }
  if (ipRanges.length + auxAddresses.length > 0) {
    throw new ContainerError('the IPAM driver static gives no addresses; leave out --ip-range and --aux-address');
  }
  const strange = gateways.find((ip) => !subnets.some((subnet) => contains(subnet, ip)));
  if (strange !== undefined) {
    throw new ContainerError(`no matching subnet for gateway ${strange}; the network has ${subnets.join(', ')}`);
  }
  return subnets.map((text) => {
    const subnet = formatSubnet(parseSubnet(text));
    return { subnet, gateway: canonical(gateways.find((ip) => contains(subnet, ip)) ?? firstHost(subnet)) };
  });
}

function defaultRoute({ subnet, gateway }: NetworkSubnet): { dst: string; gw: string | undefined } {
  return { dst: isV6(subnet) ? '::/0' : '0.0.0.0/0', gw: gateway };
}

function localIpam(request: NetworkRequest, dataDir: string, subnets: readonly string[]): Record<string, unknown> {
  const parts = request.ipRanges.map((text) => ({ text, subnet: formatSubnet(parseSubnet(text)) }));
  const excluded = request.auxAddresses.map((text) => text.slice(text.indexOf('=') + 1));
  const belongs = (what: string, ip: string) => {
    if (!subnets.some((subnet) => contains(subnet, ip))) {
      throw new ContainerError(`no matching subnet for ${what} ${ip}; the network has ${subnets.join(', ')}`);
    }
  };
  for (const gateway of request.gateways) belongs('gateway', gateway);
  for (const { subnet } of parts) belongs('ip-range', firstHost(subnet));
  for (const ip of excluded) belongs('aux-address', ip);
  const only = (what: string, subnet: string, given: readonly string[]) => {
    if (given.length < 2) return given[0];
    throw new ContainerError(`a subnet has one ${what}; ${given.join(' and ')} were given for ${subnet}`);
  };

  const sets = subnets.map((subnet) => {
    const gateways = request.gateways.filter((ip) => contains(subnet, ip)).map(canonical);
    const gateway = hostIn(subnet, only('gateway', subnet, gateways) ?? firstHost(subnet), 'gateway');
    const within = parts.filter((range) => contains(subnet, firstHost(range.subnet))).map((range) => range.subnet);
    const part = only('ip-range', subnet, within);
    const own = excluded.filter((ip) => contains(subnet, ip));
    return ranges({ subnet, gateway, ...(part === undefined ? {} : { ipRange: part }), auxAddresses: own }).map(
      (range) => ({
        subnet,
        ...range,
        gateway,
      }),
    );
  });
  const routes = subnets.map((subnet) => ({ dst: isV6(subnet) ? '::/0' : '0.0.0.0/0' }));
  return { type: 'host-local', dataDir, ranges: sets, ...(request.internal ? {} : { routes }) };
}

function bridgePlugins(
  name: string,
  mtu: number | undefined,
  internal: boolean,
  icc: boolean,
  ipam: Record<string, unknown>,
): PluginConf[] {
  const bridge: PluginConf = {
    type: 'bridge',
    bridge: bridgeDevice(name),
    isGateway: !internal,
    ipMasq: !internal,
    hairpinMode: true,
    ...(mtu === undefined ? {} : { mtu }),
    ipam,
    capabilities: { ips: true },
  };
  return [
    bridge,
    ...(internal ? [] : [{ type: 'portmap', capabilities: { portMappings: true } }]),
    { type: 'firewall', backend: 'iptables', ingressPolicy: icc ? 'same-bridge' : 'isolated' },
    { type: 'tuning' },
  ];
}

/** Throws ContainerError. */
function macvlanPlugin(
  options: Record<string, string>,
  mtu: number | undefined,
  ipam: Record<string, unknown>,
): PluginConf {
  const modes = ['bridge', 'vepa', 'private', 'passthru'];
  const mode = options.mode ?? 'bridge';
  if (!modes.includes(mode))
    throw new ContainerError(`unknown macvlan mode ${JSON.stringify(mode)}; choose one of ${modes.join(', ')}`);
  return {
    type: 'macvlan',
    ...(options.parent === undefined ? {} : { master: options.parent }),
    mode,
    ...(mtu === undefined ? {} : { mtu }),
    ipam,
    capabilities: { ips: true },
  };
}

function isV6(text: string): boolean {
  return text.includes(':');
}

/** Name of a network's bridge; 15 characters at most. */
export function bridgeDevice(name: string): string {
  if (name === DEFAULT_NETWORK) return 'rootless0';
  return `rn-${createHash('sha256').update(name).digest('hex').slice(0, 12)}`;
}
