/** What the keys of a registry mean: who is a member, who is alive, which names there are. */
import { includes, intersect, parseCIDR } from '../../../protocol/net/cidr.js';
import { parseIP } from '../../../protocol/net/ip.js';
import { containerName, MAX_MEMBERS, MAX_NAMES } from '../../../protocol/overlay/schemas.js';
import type { OverlayMember, OverlayNames } from '../../../protocol/overlay/types.js';
import type { KeyValue } from '../etcd/client.js';
import type { Picture } from '../etcd/follow.js';
import {
  type Alive,
  type Expelled,
  keys,
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

/**
 * @param networks that all shares have to lie in
 * @param listenPort of members that announce none
 */
export function readPicture(
  prefix: string,
  picture: Picture,
  { networks, listenPort }: { networks: readonly string[]; listenPort: number },
): RegistryPicture {
  const at = keys(prefix);
  const below = (start: string) =>
    [...picture.values()]
      .filter(({ key }) => key.startsWith(start))
      .map(({ key, value }) => ({ key: key.slice(start.length), value }));
  const expelled = below(at.expelledAll).flatMap(({ value }) => parseExpelled(value) ?? []);
  const members = new Map<string, OverlayMember>();
  for (const entry of picture.values()) {
    if (!entry.key.startsWith(at.subnets)) continue;
    const found = shareOf(entry, entry.key.slice(at.subnets.length), listenPort);
    if (!found || members.size >= MAX_MEMBERS || !isWithin(found.subnets, networks)) continue;
    if (expelled.some((one) => one.host === found.host || one.keys.includes(found.publicKey))) continue;
    // Two shares of one host, or of one key, or that overlap: the first one counts, and the other is not routed.
    if ([...members.values()].some((one) => collides(one, found))) continue;
    members.set(found.host, found);
  }
  const alive = new Map(
    below(at.aliveAll).flatMap(({ key, value }) => {
      const parsed = parseAlive(value);
      return parsed ? [[key, parsed] as const] : [];
    }),
  );
  return { members, alive, expelled, names: namesOf(below(at.namesAll), members) };
}

/** Members by their entries: with many hosts, reading all of them at each change of one would take long. */
const shares = new WeakMap<KeyValue, { member: OverlayMember | undefined }>();

function shareOf(entry: KeyValue, key: string, listenPort: number): OverlayMember | undefined {
  const known = shares.get(entry) ?? { member: parseShare(key, entry.value, listenPort) };
  shares.set(entry, known);
  return known.member;
}

/** Only addresses in the host's own subnets: nobody names what belongs to others. */
function namesOf(
  entries: readonly { key: string; value: string }[],
  members: ReadonlyMap<string, OverlayMember>,
): OverlayNames[] {
  const byHost = new Map<string, OverlayNames>();
  for (const { key, value } of entries) {
    const [name = '', host = '', ...more] = key.split('/');
    const owner = members.get(host);
    if (!owner || more.length > 0 || !containerName.safeParse(name).success) continue;
    const addresses = (parseNameAddresses(value) ?? []).filter((ip) => isOf(owner, ip));
    if (addresses.length === 0) continue;
    const names = byHost.get(host) ?? { host, names: [] };
    byHost.set(host, names);
    if (names.names.length < MAX_NAMES) names.names.push({ name, addresses });
  }
  return [...byHost.values()];
}

export function isOf({ subnets }: Pick<OverlayMember, 'subnets'>, ip: string): boolean {
  const address = parseIP(ip);
  return (
    address !== undefined &&
    subnets.some((text) => {
      const subnet = parseCIDR(text)?.subnet;
      return subnet !== undefined && includes(subnet, address);
    })
  );
}

function collides(one: OverlayMember, other: OverlayMember): boolean {
  return one.host === other.host || one.publicKey === other.publicKey || overlap(one.subnets, other.subnets);
}

/** Whether two lists of subnets have an address in common. */
export function overlap(some: readonly string[], others: readonly string[]): boolean {
  const parsed = others.flatMap((text) => parseCIDR(text)?.subnet ?? []);
  return some
    .flatMap((text) => parseCIDR(text)?.subnet ?? [])
    .some((subnet) => parsed.some((other) => intersect(subnet, other)));
}

/** Whether each of the subnets lies in one of the networks. */
export function isWithin(subnets: readonly string[], networks: readonly string[]): boolean {
  const around = networks.flatMap((text) => parseCIDR(text)?.subnet ?? []);
  return subnets
    .flatMap((text) => parseCIDR(text)?.subnet ?? [])
    .every((subnet) =>
      around.some((one) => one.family === subnet.family && one.first <= subnet.first && subnet.last <= one.last),
    );
}
