/**
 * A container's /etc/hosts (hosts(5)): what others wrote stays; ours stands between two marks, and is replaced there.
 */
import { open } from 'node:fs/promises';
import { canonical, isV6, toNumber } from '../subnets.js';

const BEGIN = '# <rootless-net>';
const END = '# </rootless-net>';

export interface HostsEntry {
  ip: string;
  names: string[];
}

/** A container as its peers see it. */
export interface Peer {
  id: string;
  name: string;
  hostname: string;
  domainname?: string | undefined;
  /** Addresses without prefix length. */
  networks: { name: string; ips: string[]; aliases: string[] }[];
}

/** The default network's name is not part of names. */
const DEFAULT_NETWORK = 'bridge';

export function renderHosts(current: string, extraHosts: readonly HostsEntry[], peers: readonly HostsEntry[]): string {
  const sorted = [...peers].sort(
    (a, b) => Number(isV6(a.ip)) - Number(isV6(b.ip)) || compare(toNumber(a.ip), toNumber(b.ip)) || compare(a.names[0], b.names[0]),
  );
  const region = [
    BEGIN,
    '127.0.0.1\tlocalhost localhost.localdomain',
    '::1\tlocalhost ip6-localhost ip6-loopback',
    ...[...extraHosts, ...sorted].map(({ ip, names }) => `${ip}\t${names.join(' ')}`),
    END,
    '',
  ].join('\n');
  const begin = current.indexOf(`${BEGIN}\n`);
  const end = current.indexOf(`${END}\n`, begin);
  if (begin >= 0 && end >= 0) return current.slice(0, begin) + region + current.slice(end + END.length + 1);
  return current === '' || current.endsWith('\n') ? current + region : `${current}\n${region}`;
}

/** The lines of the containers that share a network with `self`, itself among them. */
export function peerEntries(self: Peer, peers: readonly Peer[]): HostsEntry[] {
  const entries = new Map<string, HostsEntry>();
  for (const peer of [self, ...peers.filter(({ id }) => id !== self.id)]) {
    for (const network of peer.networks) {
      if (!self.networks.some(({ name }) => name === network.name)) continue;
      const names = namesOn(peer, network);
      for (const ip of network.ips) {
        const key = `${peer.id} ${canonical(ip)}`;
        const before = entries.get(key);
        entries.set(key, { ip, names: [...new Set([...(before?.names ?? []), ...names])] });
      }
    }
  }
  return [...entries.values()];
}

function namesOn({ name, hostname, domainname }: Peer, network: { name: string; aliases: string[] }): string[] {
  const qualified = domainname ? [`${hostname}.${domainname}`] : [];
  const plain = [...new Set([hostname, name])];
  const suffix = network.name === DEFAULT_NETWORK ? [] : [`.${network.name}`];
  const all = [...plain, ...network.aliases].flatMap((word) => [word, ...suffix.map((end) => `${word}${end}`)]);
  return [...new Set([...qualified, ...all])];
}

/** Into the same file, since it is mounted into containers: its inode stays. */
export async function writeInPlace(path: string, text: string): Promise<void> {
  const file = await open(path, 'r+').catch(() => open(path, 'w+', 0o644));
  try {
    const data = Buffer.from(text);
    const { size } = await file.stat();
    if (size === data.length && (await file.readFile()).equals(data)) return;
    await file.write(data, 0, data.length, 0);
    await file.truncate(data.length);
  } finally {
    await file.close();
  }
}

function compare<T>(a: T, b: T): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
