/** Which socket inside a flow belongs to: a match of addresses in the kernel's tables (socket-table.ts). */
import { addressKey, isWildcard, portOfKey, type SocketRow, socketRows } from './socket-table.js';

type Protocol = 'tcp' | 'udp';

export interface SoughtSocket {
  protocol: Protocol;
  /** Of the socket, `address:port`; the address of a server may be "", which is any. */
  local: string;
  /** What it is connected to; absent for a server. */
  remote?: string;
}

/** The tables of one network namespace. */
export interface Tables {
  /** "" if there is none. */
  read(name: Protocol | `${Protocol}6`): string;
  /** Whether an IPv4 address is one of the namespace. */
  hasAddress(ip: string): boolean;
}

/**
 * The inodes of sockets, by their index in what is sought.
 *
 * @param own tables of the stack's own network namespace, which flows have their addresses from
 * @param others tables of containers: there the client's address is changed on the way (masquerade), so its port and the
 *   other side have to match, and those of one socket only
 */
export function findSockets(
  sought: readonly SoughtSocket[],
  own: Tables | undefined,
  others: readonly Tables[],
): Map<number, string> {
  const found = own ? matchIn(own, sought, ownKeys) : new Map<number, string>();
  const elsewhere = new Map<number, string | undefined>();
  for (const tables of others) {
    const keys = (socket: SoughtSocket) => keysElsewhere(socket, tables);
    for (const [index, inode] of matchIn(tables, sought, keys)) {
      elsewhere.set(index, elsewhere.has(index) ? undefined : inode);
    }
  }
  for (const [index, inode] of elsewhere) if (inode !== undefined && !found.has(index)) found.set(index, inode);
  return found;
}

/** Keys that a row may have, the best first: of a connected socket, and of one that is bound only. */
function ownKeys({ protocol, local, remote }: SoughtSocket): string[] {
  const key = addressKey(local);
  const port = key === '' ? portInHex(local) : portOfKey(key);
  const bound = [`bound ${key}`, `bound * ${port}`];
  if (remote === undefined) return key === '' ? [`bound * ${port}`, `any ${port}`] : bound;
  return [`${key} ${addressKey(remote)}`, ...(protocol === 'udp' ? bound : [])];
}

function keysElsewhere({ local, remote }: SoughtSocket, tables: Tables): string[] {
  const key = addressKey(local);
  const port = key === '' ? portInHex(local) : portOfKey(key);
  if (remote !== undefined) return [`${port} ${addressKey(remote)}`];
  const ip = local.slice(0, local.lastIndexOf(':'));
  return ip !== '' && tables.hasAddress(ip) ? [`bound ${key}`, `bound * ${port}`] : [];
}

function portInHex(address: string): string {
  return Number(address.slice(address.lastIndexOf(':') + 1)).toString(16);
}

/** By index; the best match of each. */
function matchIn(
  tables: Tables,
  sought: readonly SoughtSocket[],
  keysOf: (socket: SoughtSocket) => string[],
): Map<number, string> {
  const found = new Map<number, { rank: number; inode: string }>();
  for (const protocol of ['tcp', 'udp'] as const) {
    const wanted = new Map<string, { index: number; rank: number }[]>();
    sought.forEach((socket, index) => {
      if (socket.protocol !== protocol) return;
      keysOf(socket).forEach((key, rank) => {
        wanted.set(key, [...(wanted.get(key) ?? []), { index, rank }]);
      });
    });
    if (wanted.size === 0) continue;
    for (const name of [protocol, `${protocol}6`] as const) {
      for (const row of socketRows(tables.read(name))) {
        for (const { index, rank } of rowKeys(row, protocol).flatMap((key) => wanted.get(key) ?? [])) {
          if (rank < (found.get(index)?.rank ?? Number.POSITIVE_INFINITY)) found.set(index, { rank, inode: row.inode });
        }
      }
    }
  }
  return new Map([...found].map(([index, { inode }]) => [index, inode]));
}

function rowKeys({ local, remote, listening }: SocketRow, protocol: Protocol): string[] {
  const port = portOfKey(local);
  if (!isWildcard(remote)) return [`${local} ${remote}`, `${port} ${remote}`];
  if (protocol === 'tcp' && !listening) return [];
  return [isWildcard(local) ? `bound * ${port}` : `bound ${local}`, `any ${port}`];
}
