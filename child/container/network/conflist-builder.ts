/** Writes the configuration lists of networks that are created here, in the form that every CNI runtime can use. */
import type { NetworkRequest, NetworkUpdate } from '../../../protocol/containers/types.js';
import { cidrContains, defaultRouteOf, formatSubnet } from '../../../protocol/net/cidr.js';
import { hostLocalRangeSets, type IpamRange } from '../../../protocol/net/host-local.js';
import { canonical, familyOf } from '../../../protocol/net/ip.js';
import { ConflictError, ContainerError } from '../errors.js';
import type { ConfList, PluginConf } from './cni/executor/types.js';
import { chooseSubnets, type UsedSubnet } from './ipam/subnet-choice.js';
import { firstHost, hostIn, parseNetworkSubnet, parseSubnet, ranges } from './ipam/subnets.js';
import { bridgeDevice, MARK, type Network, type NetworkMark, type NetworkSubnet, OVERLAY_DRIVER } from './network.js';
import { EMPTY_REQUEST, type NetworkSettings, validateRequest } from './network-request.js';

/** Configuration of the IPAM plugin host-local. */
interface LocalIpam {
  type: 'host-local';
  dataDir: string;
  ranges: IpamRange[][];
  routes?: { dst: string }[];
}

/**
 * The list of a new network.
 * @param dataDir where host-local keeps its reservations
 * @param choose chooses the subnets; called only where host-local assigns the addresses
 * @throws ContainerError, SubnetError
 */
export function buildList(request: NetworkRequest, dataDir: string, choose: () => string[]): ConfList {
  const { name, driver, internal, icc, labels, auxAddresses } = request;
  const settings = validateRequest(request);
  const requestable = settings.ipam === 'static' ? staticSubnets(request) : undefined;
  const ipam =
    settings.ipam === 'host-local'
      ? localIpam(request, dataDir, choose())
      : { type: settings.ipam, ...(requestable && !internal ? { routes: requestable.map(routeThrough) } : {}) };
  const mark: NetworkMark = {
    ...{ labels, auxAddresses, icc },
    ...(request.force ? { force: true } : {}),
    ...(request.egress.length > 0 ? { egress: request.egress } : {}),
    ...(requestable ? { subnets: requestable } : {}),
  };
  const plugins = driver === 'bridge' ? bridgePlugins(request, settings, ipam) : [macvlanPlugin(settings, ipam)];
  return { cniVersion: '1.0.0', name, [MARK]: mark, plugins };
}

/**
 * The list of a network with other subnets; a subnet of a family that the update does not mention is kept.
 * @param used the subnets in use, without those of the network itself
 * @throws ContainerError, SubnetError
 */
export function updateList(network: Network, update: NetworkUpdate, used: readonly UsedSubnet[]): ConfList {
  const { list, own, name, driver, file, bridge } = network;
  if (driver === OVERLAY_DRIVER) {
    const hint = `rootless-net overlay leave ${name}`;
    throw new ConflictError(`cannot change the subnet of the overlay network ${name}: its hosts share it`, { hint });
  }
  const [first, ...others] = list.plugins;
  const before = hostLocalRangeSets(first?.ipam);
  if (!own || first?.ipam?.type !== 'host-local' || before.length === 0) {
    const why = own ? 'its addresses are not assigned by host-local' : `it is managed by another program (${file})`;
    throw new ConflictError(`cannot change the subnet of the network ${name}: ${why}`);
  }
  const internal = bridge?.internal ?? false;
  const isReplaced = (text: string) => update.subnets.some((subnet) => familyOf(subnet) === familyOf(text));
  const request = { ...EMPTY_REQUEST, ...update, name, driver, internal };
  const ipv4 = update.subnets.some((subnet) => familyOf(subnet) === 4);
  const subnets = chooseSubnets({ ...request, ipv4 }, used);
  const { ipam } = first;
  const kept = before.filter(([range]) => range && !isReplaced(range.subnet));
  const mark = list[MARK] as NetworkMark;
  const auxAddresses = [...mark.auxAddresses.filter((text) => !isReplaced(auxAddressOf(text))), ...update.auxAddresses];
  const { force: _, ...rest } = mark;
  const local = localIpam(request, String(ipam.dataDir), subnets);
  const ranges = [...kept, ...local.ranges].sort((a, b) => familyOf(a[0]?.subnet ?? '') - familyOf(b[0]?.subnet ?? ''));
  const routes = ranges.map(([range]) => ({ dst: defaultRouteOf(range?.subnet ?? '') }));
  return {
    ...list,
    [MARK]: { ...rest, auxAddresses, ...(update.force ? { force: true } : {}) },
    plugins: [{ ...first, ipam: { ...ipam, ranges, ...(internal ? {} : { routes }) } }, ...others],
  };
}

/** The list of a network with another egress policy. */
export function withEgress(list: ConfList, egress: readonly string[]): ConfList {
  const { egress: _, ...rest } = list[MARK] as NetworkMark;
  return { ...list, [MARK]: { ...rest, ...(egress.length > 0 ? { egress: [...egress] } : {}) } };
}

/** Throws ContainerError and SubnetError. */
function staticSubnets({ subnets, gateways, ipRanges, auxAddresses }: NetworkRequest): NetworkSubnet[] {
  if (subnets.length === 0) {
    throw new ContainerError('the IPAM driver static needs --subnet, for the addresses that containers request');
  }
  if (ipRanges.length + auxAddresses.length > 0) {
    throw new ContainerError('the IPAM driver static assigns no addresses; omit --ip-range and --aux-address');
  }
  const parsed = subnets.map((text) => formatSubnet(parseNetworkSubnet(text)));
  requireSubnet(parsed, 'gateway', gateways);
  return parsed.map((subnet) => {
    return { subnet, gateway: canonical(gateways.find((ip) => cidrContains(subnet, ip)) ?? firstHost(subnet)) };
  });
}

/** Throws ContainerError if an address is in none of the subnets. */
function requireSubnet(subnets: readonly string[], what: string, ips: readonly string[]): void {
  const wrong = ips.find((ip) => !subnets.some((subnet) => cidrContains(subnet, ip)));
  if (wrong === undefined) return;
  throw new ContainerError(`no matching subnet for ${what} ${wrong}; the network has ${subnets.join(', ')}`);
}

function routeThrough({ subnet, gateway }: NetworkSubnet): { dst: string; gw: string | undefined } {
  return { dst: defaultRouteOf(subnet), gw: gateway };
}

/** The address in `NAME=ADDRESS`, or in `ADDRESS`. */
function auxAddressOf(text: string): string {
  return text.slice(text.indexOf('=') + 1);
}

/**
 * What host-local is configured with for these subnets.
 * @throws ContainerError, SubnetError
 */
export function localIpam(request: NetworkRequest, dataDir: string, subnets: readonly string[]): LocalIpam {
  const ipRanges = request.ipRanges.map((text) => formatSubnet(parseSubnet(text)));
  const excluded = request.auxAddresses.map(auxAddressOf);
  requireSubnet(subnets, 'gateway', request.gateways);
  requireSubnet(subnets, 'ip-range', ipRanges.map(firstHost));
  requireSubnet(subnets, 'aux-address', excluded);
  const rangeSets = subnets.map((subnet) => {
    const gateways = request.gateways.filter((ip) => cidrContains(subnet, ip)).map(canonical);
    const gateway = hostIn(subnet, onlyOne('gateway', subnet, gateways) ?? firstHost(subnet), 'gateway');
    const within = ipRanges.filter((range) => cidrContains(subnet, firstHost(range)));
    const ipRange = onlyOne('ip-range', subnet, within);
    const auxAddresses = excluded.filter((ip) => cidrContains(subnet, ip));
    const found = ranges({ subnet, gateway, ...(ipRange === undefined ? {} : { ipRange }), auxAddresses });
    return found.map((range) => ({ subnet, ...range, gateway }));
  });
  const routes = subnets.map((subnet) => ({ dst: defaultRouteOf(subnet) }));
  return { type: 'host-local', dataDir, ranges: rangeSets, ...(request.internal ? {} : { routes }) };
}

/** Throws ContainerError. */
function onlyOne(what: string, subnet: string, values: readonly string[]): string | undefined {
  if (values.length < 2) return values[0];
  throw new ContainerError(`a subnet has one ${what}; ${values.join(' and ')} were given for ${subnet}`);
}

function bridgePlugins(
  { name, internal, icc }: NetworkRequest,
  { mtu }: NetworkSettings,
  ipam: Record<string, unknown> | LocalIpam,
): PluginConf[] {
  const bridge: PluginConf = {
    type: 'bridge',
    bridge: bridgeDevice(name),
    isGateway: !internal,
    ipMasq: !internal,
    hairpinMode: true,
    ...(mtu === undefined ? {} : { mtu }),
    ipam: { ...ipam },
    capabilities: { ips: true },
  };
  return [
    bridge,
    ...(internal ? [] : [{ type: 'portmap', capabilities: { portMappings: true } }]),
    { type: 'firewall', backend: 'iptables', ingressPolicy: icc ? 'same-bridge' : 'isolated' },
    { type: 'tuning' },
  ];
}

function macvlanPlugin({ mtu, mode, parent }: NetworkSettings, ipam: Record<string, unknown> | LocalIpam): PluginConf {
  return {
    type: 'macvlan',
    ...(parent === undefined ? {} : { master: parent }),
    mode,
    ...(mtu === undefined ? {} : { mtu }),
    ipam: { ...ipam },
    capabilities: { ips: true },
  };
}
