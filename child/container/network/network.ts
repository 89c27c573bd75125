/**
 * A network that containers can be on: its configuration list (conflist), and what can be derived from it. Networks that
 * were created here carry a mark in their list; where such a network has a bridge, containers are attached to it without
 * plugins. All others belong to another CNI runtime and are attached by their plugins.
 */

import { createHash } from 'node:crypto';
import { isFields, isTexts } from '../../../protocol/api/report-shapes.js';
import type { AttachmentRequest } from '../../../protocol/containers/types.js';
import { hostLocalRangeSets, type IpamRange } from '../../../protocol/net/host-local.js';
import type { ConfList } from './cni/executor/types.js';

/** The network of containers that request none; created when it is first needed. */
export const DEFAULT_NETWORK = 'bridge';
/** Values of --network that are not networks. */
export const PSEUDO_NETWORKS: readonly string[] = ['host', 'none'];
/** Type of the first plugin of an overlay network's list; there is no such plugin. */
export const OVERLAY_PLUGIN = 'rootless-overlay';
/** Driver of such networks in reports. */
export const OVERLAY_DRIVER = 'overlay';
/** Key of NetworkMark in a list. */
export const MARK = 'rootlessNet';

/** What the lists of networks created here contain in addition to the keys of the specification. */
export interface NetworkMark {
  labels: Record<string, string>;
  auxAddresses: string[];
  icc: boolean;
  /** What its containers may reach, lines of an egress file; absent for everything. */
  egress?: string[];
  /** Set where the network has a subnet of the host on request. */
  force?: true;
  /** With the IPAM driver static: the subnets of the addresses that containers may request. */
  subnets?: NetworkSubnet[];
}

export interface NetworkSubnet {
  /** In CIDR notation. */
  subnet: string;
  gateway?: string | undefined;
}

export interface Network {
  name: string;
  /** SHA-256 of the name, as in nerdctl. */
  id: string;
  /** Type of its first plugin, or OVERLAY_DRIVER. */
  driver: string;
  /** Whether it was created here. */
  own: boolean;
  /** "" if the file no longer exists. */
  file: string;
  list: ConfList;
  labels: Record<string, string>;
  /** Whether it has a subnet of the host on request. */
  forced: boolean;
  /** What its containers may reach, lines of an egress file; empty for everything. */
  egress: readonly string[];
  /** Where containers are attached without plugins. */
  bridge?: BridgeNetwork;
}

export interface BridgeNetwork {
  device: string;
  /** In bytes; 0 for that of the stack's network. */
  mtu: number;
  internal: boolean;
  /** Whether its containers may reach each other. */
  icc: boolean;
  /** The device that leads to the same network on other hosts; absent where there are none. */
  tunnel?: string;
  /** Subnets beyond its own that containers reach through the gateway, in CIDR notation. */
  routes?: string[];
  /** One for each family. */
  rangeSets: IpamRange[][];
}

/** A requested attachment, with its network. */
export interface ResolvedAttachment {
  request: AttachmentRequest;
  network: Network;
}

/** @param file "" if it no longer exists */
export function networkOf(list: ConfList, file: string): Network {
  const [first] = list.plugins;
  const mark = isFields(list[MARK]) ? (list[MARK] as Partial<NetworkMark>) : undefined;
  const rangeSets = hostLocalRangeSets(first?.ipam);
  const network: Network = {
    name: list.name,
    id: createHash('sha256').update(list.name).digest('hex'),
    driver: first?.type === OVERLAY_PLUGIN ? OVERLAY_DRIVER : (first?.type ?? ''),
    own: mark !== undefined,
    file,
    list,
    labels: labelsOf(mark?.labels ?? list.nerdctlLabels),
    forced: mark?.force === true,
    egress: Array.isArray(mark?.egress) ? mark.egress.filter((line) => typeof line === 'string') : [],
  };
  const isBridge = first?.type === 'bridge' || first?.type === OVERLAY_PLUGIN;
  if (mark === undefined || !isBridge || typeof first.bridge !== 'string') return network;
  if (rangeSets.length === 0) return network;
  return {
    ...network,
    bridge: {
      device: first.bridge,
      mtu: Number(first.mtu ?? 0),
      internal: first.isGateway !== true,
      icc: mark.icc !== false,
      ...(typeof first.tunnel === 'string' ? { tunnel: first.tunnel } : {}),
      ...(isTexts(first.networks) ? { routes: first.networks } : {}),
      rangeSets,
    },
  };
}

/** Name of a network's bridge; 15 characters at most. */
export function bridgeDevice(name: string): string {
  if (name === DEFAULT_NETWORK) return 'rootless0';
  return `rn-${createHash('sha256').update(name).digest('hex').slice(0, 12)}`;
}

function labelsOf(value: unknown): Record<string, string> {
  const entries = isFields(value) ? Object.entries(value) : [];
  return Object.fromEntries(entries.filter((entry): entry is [string, string] => typeof entry[1] === 'string'));
}

/** The subnets of a network, one for each range set. */
export function subnetsOf({ list }: Network): NetworkSubnet[] {
  const requestable = (list[MARK] as NetworkMark | undefined)?.subnets ?? [];
  const assigned = list.plugins.flatMap((plugin) =>
    hostLocalRangeSets(plugin.ipam).flatMap(([range]) =>
      range ? [{ subnet: range.subnet, gateway: range.gateway }] : [],
    ),
  );
  return [...requestable, ...assigned];
}

/** The subnets of networks, those that are reached through them included. */
export function subnetsByName(networks: readonly Network[]): { name: string; subnet: string }[] {
  return networks.flatMap((network) => {
    const subnets = [...subnetsOf(network).map(({ subnet }) => subnet), ...(network.bridge?.routes ?? [])];
    return subnets.map((subnet) => ({ name: network.name, subnet }));
  });
}

/** Whether its containers have leases of the plugin dhcp's daemon. */
export function usesDHCP({ list }: Network): boolean {
  return list.plugins.some(({ ipam }) => ipam?.type === 'dhcp');
}

/** Whether containers have to request their addresses, which the plugin static wants with a prefix length. */
export function usesStatic({ list }: Network): boolean {
  return list.plugins.some(({ ipam }) => ipam?.type === 'static');
}

/** Whether the network has no route to the outside. */
export function isInternal({ bridge, list }: Network): boolean {
  if (bridge) return bridge.internal;
  const [first] = list.plugins;
  if (first?.ipam?.type !== 'host-local' || first.isDefaultGateway === true) return false;
  const routes: unknown[] = Array.isArray(first.ipam.routes) ? first.ipam.routes : [];
  return !routes.some((route) => isFields(route) && /\/0$/.test(String(route.dst)));
}
