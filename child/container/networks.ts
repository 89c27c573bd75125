/**
 * The networks that containers can be on: network configuration lists in the user's CNI directory, ours and those of
 * other CNI runtimes. Ours can be used by others, with the real plugins; they carry a mark, by which we know them again
 * and attach to them ourselves.
 */
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import type { NetworkRequest } from '../../protocol/containers.js';
import { RouteSocket } from '../netlink/route.js';
import { readConfDir } from './cni/conflist.js';
import { isObject } from './cni/errors.js';
import type { ConfList, PluginConf } from './cni/types.js';
import { ConflictError, ContainerError, NoSuchNetworkError } from './errors.js';
import type { FirewallBridge } from './firewall.js';
import { formatIP, parseIP } from './ip-address.js';
import type { IpamRange as Range } from './ipam.js';
import { KeyedLock } from './lock.js';
import { remove, writeLastingJSON } from './state-files.js';
import {
  contains,
  firstFreeSubnet,
  firstHost,
  formatSubnet,
  overlaps,
  parseSubnet,
  ranges,
  ulaSubnet,
} from './subnets.js';

export const DEFAULT_NETWORK = 'bridge';
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
    /** Where plugins keep what they would keep in directories of the system's, which only its root may write. */
    private readonly pluginDirs: { hostLocal: string; tuning: string },
    private readonly warn: (line: string) => void,
  ) {}

  /** By file name. Broken files are told of once, and left out. */
  async list(): Promise<Network[]> {
    // nerdctl keeps those of its default namespace in a directory of their own.
    const { networks, problems } = await readConfDir([this.confDir, join(this.confDir, 'default')]);
    for (const { file, what } of problems) {
      if (!this.#told.has(file)) this.warn(`the network configuration ${file} is left out: ${what}`);
      this.#told.add(file);
    }
    return networks.map(({ file, list }) => toNetwork(file, this.#relocated(list)));
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
    throw new NoSuchNetworkError(text);
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

  /** Lists of others, for whom /var/lib/cni and /run/cni are writable. */
  #relocated(list: ConfList): ConfList {
    if (list[MARK] !== undefined) return list;
    const plugins = list.plugins.map((plugin): PluginConf => {
      const ipam =
        plugin.ipam?.type === 'host-local' ? { ipam: { dataDir: this.pluginDirs.hostLocal, ...plugin.ipam } } : {};
      const tuning = plugin.type === 'tuning' ? { dataDir: this.pluginDirs.tuning } : {};
      return { ...tuning, ...plugin, ...ipam };
    });
    return { ...list, plugins };
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
    return toNetwork(file, list);
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
export function subnetsOf(network: Network): { subnet: string; gateway?: string | undefined }[] {
  return network.list.plugins.flatMap((plugin) =>
    rangeSetsOf(plugin).flatMap(([range]) => (range ? [{ subnet: range.subnet, gateway: range.gateway }] : [])),
  );
}

/** What the packet filter is to know of a network of ours. */
export function firewallBridge(network: Network): FirewallBridge | undefined {
  if (!network.bridge) return undefined;
  const { device, internal } = network.bridge;
  return { device, internal, subnets: subnetsOf(network).map(({ subnet }) => subnet) };
}

export function isInternal(network: Network): boolean {
  if (network.bridge) return network.bridge.internal;
  const ipam = network.list.plugins[0]?.ipam;
  return ipam?.type === 'host-local' && !Array.isArray(ipam.routes);
}

function toNetwork(file: string, list: ConfList): Network {
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

function usedSubnets(networks: readonly Network[]): { subnet: string; by: string }[] {
  const configured = networks.flatMap((network) =>
    subnetsOf(network).map(({ subnet }) => ({ subnet, by: `the network ${network.name}` })),
  );
  using socket = new RouteSocket();
  const live = socket
    .routes()
    .filter(({ destination }) => !/\/0$/.test(destination) && !destination.startsWith('fe80:'))
    .map(({ destination }) => ({ subnet: destination, by: 'a route that is in use' }));
  return [...configured, ...live];
}

/** The subnets of a new network. Throws SubnetError and ConflictError. */
function chooseSubnets(
  request: NetworkRequest,
  asked: readonly string[],
  used: readonly { subnet: string; by: string }[],
  firstSubnet: string,
): string[] {
  const subnets = asked.map((text) => formatSubnet(parseSubnet(text)));
  for (const subnet of subnets) {
    const other = used.find((entry) => overlaps(entry.subnet, subnet));
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
  const local = ipamDriver === 'default' || ipamDriver === 'host-local';
  if (!local && request.subnets.length + request.gateways.length + request.ipRanges.length > 0) {
    throw new ContainerError(
      `the IPAM driver ${ipamDriver} takes no subnets; leave out --subnet, --gateway and --ip-range`,
    );
  }
  if (!local && driver === 'bridge')
    throw new ContainerError(`a bridge of ours needs the IPAM driver host-local, not ${ipamDriver}`);
  const ipam = local ? localIpam(request, dataDir, choose(request.subnets)) : { type: ipamDriver };
  const mark: Mark = { labels, auxAddresses, icc };
  const plugins =
    driver === 'bridge' ? bridgePlugins(name, mtu, internal, icc, ipam) : [macvlanPlugin(options, mtu, ipam)];
  return { cniVersion: '1.0.0', name, [MARK]: mark, plugins };
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

  const sets = subnets.map((subnet) => {
    const gateway = canonical(request.gateways.find((ip) => contains(subnet, ip)) ?? firstHost(subnet));
    const part = parts.find((range) => contains(subnet, firstHost(range.subnet)))?.subnet;
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

/** In the one form that is compared. */
function canonical(ip: string): string {
  const parsed = parseIP(ip);
  return parsed ? formatIP(parsed) : ip;
}

/** Name of a network's bridge; 15 characters at most. */
export function bridgeDevice(name: string): string {
  if (name === DEFAULT_NETWORK) return 'rootless0';
  return `rn-${createHash('sha256').update(name).digest('hex').slice(0, 12)}`;
}
