/**
 * What a list of peers means for the device, and what has to be changed for it.
 *
 * A peer that is about to get a new key (`nextKey`) is two peers of the device meanwhile: the second one, with the new key, has no
 * addresses, so that handshakes with it succeed and nothing is sent to it. After its first handshake it gets
 * everything, and the first one is removed (`moved`).
 */
import { isIP } from 'node:net';
import { formatSubnet, parseCIDR } from '../../protocol/net/cidr.js';
import { WireGuardError } from '../../protocol/wireguard/errors.js';
import { isKey, type Key } from '../../protocol/wireguard/keys.js';
import type { Endpoint, PeerChange } from './implementation.js';

/** Another host. */
export interface Peer {
  publicKey: Key;
  /** The key that it is about to use instead. */
  nextKey?: Key | undefined;
  presharedKey?: Key | undefined;
  /** Where it is first looked for; absent for a host that only connects to others. Packets from elsewhere change it. */
  endpoint?: Endpoint | undefined;
  /** What is reached through it, in CIDR notation; no subnet belongs to two peers. */
  subnets: readonly string[];
  /** In seconds; 0 for none, 25 unless given, which is less than what NATs, firewalls and published ports wait. */
  keepalive?: number | undefined;
}

const KEEPALIVE = 25;
const NO_KEY = Buffer.alloc(32).toString('base64');

/** A peer with all that it has. */
type WantedPeer = Required<Omit<PeerChange, 'remove' | 'endpoint'>> & { endpoint: Endpoint | undefined };

/** By their keys. */
export type Wanted = ReadonlyMap<Key, WantedPeer>;

/** Throws WireGuardError. */
export function checkPeers(peers: readonly Peer[]): void {
  const keys = new Set<Key>();
  for (const { publicKey, nextKey, presharedKey, endpoint, subnets, keepalive = KEEPALIVE } of peers) {
    for (const key of [publicKey, nextKey, presharedKey]) {
      if (key !== undefined && !isKey(key))
        throw new WireGuardError('invalid WireGuard key: expected 32 bytes in base64');
    }
    for (const key of [publicKey, nextKey]) {
      if (key === undefined) continue;
      if (keys.has(key)) throw new WireGuardError(`two peers have the key ${key}`);
      keys.add(key);
    }
    if (endpoint !== undefined && !isEndpoint(endpoint)) {
      throw new WireGuardError(`invalid endpoint of the peer ${publicKey}: expected an address and a port`);
    }
    if (!Number.isInteger(keepalive) || keepalive < 0 || keepalive > 65535) {
      throw new WireGuardError(`invalid keepalive of the peer ${publicKey}: expected 0 to 65535 seconds`);
    }
    for (const cidr of subnets) {
      const parsed = parseCIDR(cidr);
      if (parsed?.address.value !== parsed?.subnet.first || parsed === undefined) {
        throw new WireGuardError(`invalid subnet of the peer ${publicKey}: expected ADDRESS/LENGTH without host bits`);
      }
    }
  }
}

function isEndpoint({ ip, port }: Endpoint): boolean {
  return isIP(ip) !== 0 && !ip.includes('%') && Number.isInteger(port) && port > 0 && port < 65536;
}

/** @param moved next keys that have taken over */
export function wantedPeers(peers: readonly Peer[], moved: ReadonlySet<Key>): Wanted {
  const wanted = new Map<Key, WantedPeer>();
  for (const { publicKey, nextKey, presharedKey = NO_KEY, endpoint, subnets, keepalive = KEEPALIVE } of peers) {
    const active = nextKey !== undefined && moved.has(nextKey) ? nextKey : publicKey;
    const allowedIps = subnets.map(canonicalSubnet);
    wanted.set(active, { publicKey: active, presharedKey, endpoint, keepalive, allowedIps });
    if (nextKey === undefined || nextKey === active) continue;
    // The peer begins the handshake: it knows when it has the key.
    wanted.set(nextKey, { publicKey: nextKey, presharedKey, endpoint, keepalive: 0, allowedIps: [] });
  }
  return wanted;
}

/** Subnets of all peers. */
export function subnetsOf(peers: readonly Peer[]): string[] {
  return [...new Set(peers.flatMap(({ subnets }) => subnets.map(canonicalSubnet)))];
}

/**
 * What has to be changed. An endpoint is set where it is another one than before: the peer may have been found elsewhere
 * meanwhile.
 */
export function changesBetween(before: Wanted, after: Wanted): PeerChange[] {
  const changes: PeerChange[] = [];
  for (const [publicKey, peer] of after) {
    const old = before.get(publicKey);
    const isNew = (field: keyof WantedPeer) => JSON.stringify(old?.[field]) !== JSON.stringify(peer[field]);
    const change: PeerChange = {
      publicKey,
      ...(isNew('presharedKey') && { presharedKey: peer.presharedKey }),
      ...(isNew('endpoint') && peer.endpoint !== undefined && { endpoint: peer.endpoint }),
      ...(isNew('keepalive') && { keepalive: peer.keepalive }),
      ...(isNew('allowedIps') && { allowedIps: peer.allowedIps }),
    };
    if (old === undefined || Object.keys(change).length > 1) changes.push(change);
  }
  // Afterwards: what they had has been moved without a gap.
  for (const publicKey of before.keys()) if (!after.has(publicKey)) changes.push({ publicKey, remove: true });
  return changes;
}

function canonicalSubnet(cidr: string): string {
  const subnet = parseCIDR(cidr)?.subnet;
  return subnet === undefined ? cidr : formatSubnet(subnet);
}
