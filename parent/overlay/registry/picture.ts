/** What the keys of a registry mean: who is a member, who is alive, which names there are. */
import { includes, intersect, parseCIDR, type Subnet } from '../../../protocol/net/cidr.js';
import { parseIP } from '../../../protocol/net/ip.js';
import { MAX_MEMBERS, MAX_NAMES, memberName } from '../../../protocol/overlay/schemas.js';
import { isShare, type ShareRules, shareRules } from '../../../protocol/overlay/subnets.js';
import type { OverlayMember, OverlayNames } from '../../../protocol/overlay/types.js';
import type { KeyValue } from '../etcd/client.js';
import type { Picture } from '../etcd/follow.js';
import {
  type Alive,
  type Expelled,
  keys,
  type NetworkConfig,
  parseAlive,
  parseExpelled,
  parseNameAddresses,
  parseShare,
} from './layout.js';

export interface RegistryPicture {
  /** By host; those that were expelled are left out. */
  members: Map<string, OverlayMember>;
  alive: Map<string, Alive>;
  names: OverlayNames[];
  expelled: Expelled[];
}

/** @param config of the network: what shares it has, and the port of members that announce none */
export function readPicture(
  prefix: string,
  picture: Picture,
  config: Pick<NetworkConfig, 'networks' | 'prefix' | 'listenPort'>,
): RegistryPicture {
  const at = keys(prefix);
  // The oldest first, on all hosts alike: whoever comes later does not displace what is there.
  const entries = [...picture.values()].sort((a, b) => Number(a.createRevision - b.createRevision));
  const below = <T>(start: string, read: (entry: KeyValue, key: string) => T | undefined): T[] =>
    entries
      .filter(({ key }) => key.startsWith(start))
      .map((entry) => read(entry, entry.key.slice(start.length)))
      .filter((result) => result !== undefined);
  const expelled = below(at.expelledAll, readExpelled);
  const shares = below(at.subnets, (entry, key) => readShare(entry, key, config.listenPort));
  const members = membersOf(shares, { rules: shareRules(config.networks, config.prefix), expelled });
  return {
    members: new Map([...members].map(([host, { member }]) => [host, member])),
    alive: new Map(below(at.aliveAll, readAlive)),
    expelled,
    names: namesOf(below(at.namesAll, readName), members),
  };
}

/** Reads each entry once: with many hosts, reading all of them at each change of one would take long. */
function once<T, More extends unknown[]>(
  read: (value: string, key: string, ...more: More) => T | undefined,
): (entry: KeyValue, key: string, ...more: More) => T | undefined {
  const known = new WeakMap<KeyValue, { result: T | undefined }>();
  return (entry, key, ...more) => {
    const found = known.get(entry) ?? { result: read(entry.value, key, ...more) };
    known.set(entry, found);
    return found.result;
  };
}

interface Share {
  member: OverlayMember;
  subnets: readonly Subnet[];
}

const readShare = once((value, key, listenPort: number): Share | undefined => {
  const member = parseShare(key, value, listenPort);
  return member && { member, subnets: parsedSubnets(member.subnets) };
});

const readExpelled = once(parseExpelled);

const readAlive = once((value, host): [string, Alive] | undefined => {
  const alive = parseAlive(value);
  return alive && [host, alive];
});

interface Name {
  name: string;
  host: string;
  addresses: readonly string[];
}

const readName = once((value, key): Name | undefined => {
  const [name = '', host = '', ...more] = key.split('/');
  const addresses = parseNameAddresses(value);
  return addresses && more.length === 0 && memberName.safeParse(name).success ? { name, host, addresses } : undefined;
});

/** By host. Two shares of one host, or of one key, or with a subnet in common: the first one counts, and the other is not routed. */
function membersOf(
  shares: readonly Share[],
  { rules, expelled }: { rules: ShareRules | undefined; expelled: readonly Expelled[] },
): Map<string, Share> {
  const members = new Map<string, Share>();
  if (!rules) return members;
  const expelledHosts = new Set(expelled.map(({ host }) => host));
  // Keys of all members, and those that are revoked.
  const used = new Set(expelled.flatMap((one) => one.keys));
  // Shares of one length have all addresses in common, or none.
  const taken = new Set<string>();
  for (const share of shares) {
    const { host, publicKey, nextKey, subnets } = share.member;
    if (members.size >= MAX_MEMBERS) break;
    if (!isShare(rules, share.subnets) || expelledHosts.has(host) || members.has(host)) continue;
    if (used.has(publicKey) || subnets.some((subnet) => taken.has(subnet))) continue;
    // Ignore a next key that is another member's; the member itself stays.
    const isNext = nextKey !== undefined && nextKey !== publicKey && !used.has(nextKey);
    members.set(host, isNext ? share : { ...share, member: { ...share.member, nextKey: undefined } });
    used.add(publicKey);
    if (isNext) used.add(nextKey);
    for (const subnet of subnets) taken.add(subnet);
  }
  return members;
}

/** Only addresses in the host's own subnets: nobody names what belongs to others. */
function namesOf(names: readonly Name[], members: ReadonlyMap<string, Share>): OverlayNames[] {
  const byHost = new Map<string, OverlayNames>();
  for (const { name, host, addresses } of names) {
    const owner = members.get(host);
    if (!owner) continue;
    const own = addresses.filter((ip) => isOf(owner.subnets, ip));
    if (own.length === 0) continue;
    const known = byHost.get(host) ?? { host, names: [] };
    byHost.set(host, known);
    if (known.names.length < MAX_NAMES) known.names.push({ name, addresses: own });
  }
  return [...byHost.values()];
}

function isOf(subnets: readonly Subnet[], ip: string): boolean {
  const address = parseIP(ip);
  return address !== undefined && subnets.some((subnet) => includes(subnet, address));
}

/** Whether two lists of subnets have an address in common. */
export function overlap(some: readonly string[], others: readonly string[]): boolean {
  const taken = parsedSubnets(others);
  return parsedSubnets(some).some((subnet) => taken.some((other) => intersect(subnet, other)));
}

/** Texts that are not in CIDR notation are left out. */
export function parsedSubnets(texts: readonly string[]): Subnet[] {
  return texts.flatMap((text) => parseCIDR(text)?.subnet ?? []);
}
