/**
 * The registry in etcd: flannel's layout (flannel's documentation, "configuration" and pkg/subnet), so that flanneld
 * with its backend wireguard can be a member of the same network, and keys of our own that it does not read.
 *
 *   PREFIX/config                 {"Network","SubnetLen","IPv6Network","Backend":{"Type":"wireguard","ListenPort","PSK"}}
 *   PREFIX/subnets/10.50.1.0-24   a host's share, on a lease of a day; with IPv6 10.50.1.0-24&fd00:1::-64
 *                                 {"PublicIP","BackendType":"wireguard","BackendData":{"PublicKey",…}}
 *   PREFIX/alive/HOST             on a lease of half a minute: who runs now, and as which process
 *   PREFIX/names/NAME/HOST        on the same lease: the addresses of a container name on one host
 *   PREFIX/expelled/HOST          a host that must not come back, with its keys
 *
 * Additions are in fields that Go's decoder ignores: `Host`, `Name`, `Port` and `Next` of BackendData; `RootlessNet` of config.
 * What is read here was written by others: it is validated, and what is invalid counts as absent.
 */
import * as z from 'zod';
import { addressOf, formatSubnet, parseCIDR } from '../../../protocol/net/cidr.js';
import { canonical, familyOf } from '../../../protocol/net/ip.js';
import {
  hostId,
  hostName,
  member,
  networkName,
  subnet,
  version,
  wireGuardKey,
} from '../../../protocol/overlay/schemas.js';
import { SHARE_PREFIX, SHARE_PREFIX6 } from '../../../protocol/overlay/subnets.js';
import type { OverlayMember } from '../../../protocol/overlay/types.js';

/** flannel's, of the backend wireguard. */
export const FLANNEL_PORT = 51_820;
/** In seconds: of a host's share, and of what is gone with the host. */
export const SHARE_TTL = 24 * 3600;
export const ALIVE_TTL = 30;

export const keys = (prefix: string) => ({
  all: `${prefix}/`,
  config: `${prefix}/config`,
  subnets: `${prefix}/subnets/`,
  subnet: (subnets: readonly string[]) => `${prefix}/subnets/${subnetKey(subnets)}`,
  aliveAll: `${prefix}/alive/`,
  alive: (host: string) => `${prefix}/alive/${host}`,
  namesAll: `${prefix}/names/`,
  name: (name: string, host: string) => `${prefix}/names/${name}/${host}`,
  expelledAll: `${prefix}/expelled/`,
  expelled: (host: string) => `${prefix}/expelled/${host}`,
});

export interface NetworkConfig {
  networks: string[];
  /** Length of a host's share, in bits. */
  prefix: number;
  /** Of all hosts, where they are flanneld's. */
  listenPort: number;
  presharedKey?: string | undefined;
  /** The first and last IPv4 share. */
  first?: string | undefined;
  last?: string | undefined;
  /** Whether it was made by us; flannel's networks have none of our fields. */
  own: boolean;
  internal: boolean;
}

const configSchema = z.looseObject({
  Network: subnet,
  IPv6Network: subnet.optional(),
  EnableIPv6: z.boolean().optional(),
  SubnetLen: z.int().min(8).max(30).optional(),
  IPv6SubnetLen: z.literal(SHARE_PREFIX6).optional(),
  SubnetMin: z.ipv4().optional(),
  SubnetMax: z.ipv4().optional(),
  Backend: z.looseObject({
    Type: z.literal('wireguard'),
    ListenPort: z.int().min(1).max(65_535).optional(),
    PSK: wireGuardKey.optional(),
  }),
  RootlessNet: z.looseObject({ Name: networkName, Internal: z.boolean() }).optional(),
});

/** Undefined for what is not the configuration of a network with the backend wireguard. */
export function parseConfig(text: string): NetworkConfig | undefined {
  const { data } = configSchema.safeParse(jsonOf(text));
  const network = data && parseCIDR(data.Network)?.subnet;
  if (!data || network?.family !== 4) return undefined;
  const { EnableIPv6, SubnetLen, SubnetMin, SubnetMax, Backend, RootlessNet } = data;
  const network6 = EnableIPv6 ? parseCIDR(data.IPv6Network ?? '')?.subnet : undefined;
  if (EnableIPv6 && network6?.family !== 6) return undefined;
  return {
    networks: [network, network6].flatMap((one) => (one ? [formatSubnet(one)] : [])),
    prefix: SubnetLen ?? Math.max(SHARE_PREFIX, network.prefix + 2),
    listenPort: Backend.ListenPort ?? FLANNEL_PORT,
    presharedKey: Backend.PSK,
    first: SubnetMin,
    last: SubnetMax,
    own: RootlessNet !== undefined,
    internal: RootlessNet?.Internal ?? false,
  };
}

export function formatConfig(name: string, networks: readonly string[], internal: boolean): string {
  const [network, network6] = [4, 6].map((family) => networks.find((text) => familyOf(text) === family));
  return JSON.stringify({
    Network: network,
    ...(network6 === undefined ? {} : { EnableIPv6: true, IPv6Network: network6, IPv6SubnetLen: SHARE_PREFIX6 }),
    SubnetLen: SHARE_PREFIX,
    Backend: { Type: 'wireguard', Mode: 'auto' },
    RootlessNet: { Name: name, Internal: internal },
  });
}

/** As MakeSubnetKey() of flannel writes it. */
export function subnetKey(subnets: readonly string[]): string {
  return subnets.map((text) => text.replace('/', '-')).join('&');
}

/** Undefined for a key that is not of that form. */
export function parseSubnetKey(key: string): string[] | undefined {
  const subnets = key.split('&').map((text) => text.replace(/-(\d+)$/, '/$1'));
  const families = subnets.map((text) => parseCIDR(text)?.subnet.family);
  if (families[0] !== 4 || subnets.length > 2 || (subnets.length === 2 && families[1] !== 6)) return undefined;
  return subnets.flatMap((text) => {
    const parsed = parseCIDR(text)?.subnet;
    return parsed ? [formatSubnet(parsed)] : [];
  });
}

const shareSchema = z.looseObject({
  PublicIP: z.string(),
  PublicIPv6: z.string().nullish(),
  BackendType: z.literal('wireguard'),
  BackendData: z.looseObject({
    PublicKey: wireGuardKey,
    Host: hostId.optional(),
    Name: z.string().optional(),
    Port: z.int().optional(),
    Next: wireGuardKey.optional(),
  }),
});

/** A member by its share; undefined for what is not one. Members without our fields are flannelds. */
export function parseShare(key: string, value: string, listenPort: number): OverlayMember | undefined {
  const subnets = parseSubnetKey(key);
  const { data } = shareSchema.safeParse(jsonOf(value));
  if (!subnets || !data) return undefined;
  const { PublicKey, Host, Name, Port, Next } = data.BackendData;
  const address = data.PublicIP === '0.0.0.0' ? (data.PublicIPv6 ?? '') : data.PublicIP;
  return member.safeParse({
    host: Host ?? flannelHost(subnets),
    name: Name ?? address.replaceAll(':', '-'),
    publicKey: PublicKey,
    ...(Next === undefined ? {} : { nextKey: Next }),
    address: canonical(address),
    // flannelds before 0.25 write none.
    port: Port || listenPort,
    subnets,
  }).data;
}

/** Of a member that has none: its subnet identifies it. */
function flannelHost([first = '']: readonly string[]): string {
  const bytes = addressOf(first)
    .split('.')
    .map((part) => Number(part).toString(16).padStart(2, '0'));
  return `00000000-0000-4000-8000-0000${bytes.join('')}`;
}

export function isFlannelHost(host: string): boolean {
  return host.startsWith('00000000-0000-4000-8000-0000');
}

export function formatShare({ host, name, publicKey, nextKey, address, port, subnets }: OverlayMember): string {
  const v6 = familyOf(address) === 6;
  const data = {
    PublicKey: publicKey,
    Host: host,
    Name: name,
    Port: port,
    ...(nextKey === undefined ? {} : { Next: nextKey }),
  };
  return JSON.stringify({
    PublicIP: v6 ? '0.0.0.0' : address,
    PublicIPv6: v6 ? address : null,
    BackendType: 'wireguard',
    BackendData: data,
    ...(subnets.length > 1 ? { BackendV6Data: data } : {}),
  });
}

const aliveSchema = z.object({
  name: hostName,
  version,
  /** Of the process, and of the machine's boot: they distinguish two processes with the same identity. */
  instance: z.string().max(64),
  boot: z.string().max(64),
});

export type Alive = z.infer<typeof aliveSchema>;

export function parseAlive(text: string): Alive | undefined {
  return aliveSchema.safeParse(jsonOf(text)).data;
}

const namesSchema = z.object({ a: z.array(z.string()).min(1).max(64) });

/** The addresses of a name; undefined for what is not a list of addresses. */
export function parseNameAddresses(text: string): string[] | undefined {
  return namesSchema.safeParse(jsonOf(text)).data?.a;
}

const expelledSchema = z.object({ host: hostId, name: hostName, keys: z.array(wireGuardKey).max(8) });

export type Expelled = z.infer<typeof expelledSchema>;

export function parseExpelled(text: string): Expelled | undefined {
  return expelledSchema.safeParse(jsonOf(text)).data;
}

/** Undefined for what is not JSON. */
export function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
