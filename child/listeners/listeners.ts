/** Which sockets count as listeners for `-p auto`. */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { isLoopback } from '../../protocol/net/ip.js';
import { isMeant, type Listener, MAX_LISTENERS, type PortRange } from '../../protocol/ports/auto.js';
import type { ListenerRule } from '../../protocol/wire/messages.js';
import { type BoundSocket, EVERY_ADDRESS } from './socket-dump.js';

/** Where there is no such file (ip(7)). */
const USUAL_EPHEMERAL: PortRange = { first: 32_768, last: 60_999 };

export interface Selection {
  rules: readonly ListenerRule[];
  /** Whether they are a container's, which is connected to from outside of its namespace, at its addresses. */
  container: boolean;
  ephemeral: PortRange;
  /** Inodes of sockets that are not a program's of the user. */
  own: ReadonlySet<number>;
}

/**
 * One for each transport and port, the lowest ports first. Of several servers on one port that one counts which needs no
 * address. Sockets of the kernel, such as those of WireGuard, have no inode.
 */
export function chooseListeners(
  sockets: readonly BoundSocket[],
  { rules, container, ephemeral, own }: Selection,
): Listener[] {
  const chosen = new Map<string, Listener>();
  for (const { transport, ip, port, inode } of sockets) {
    if (inode === 0 || own.has(inode)) continue;
    const isEphemeral = ephemeral.first <= port && port <= ephemeral.last;
    const wanted = rules.some(
      (rule) => isMeant(rule, { transport, port }) && (rule.ports !== undefined || !isEphemeral),
    );
    if (!wanted) continue;
    const key = `${transport} ${port}`;
    const plain = isFoundWithoutAddress(ip, container);
    const before = chosen.get(key);
    if (before === undefined || (plain && before.ip !== '')) {
      chosen.set(key, { transport, ip: plain ? '' : ip, port, inode });
    }
  }
  return [...chosen.values()]
    .sort((a, b) => a.port - b.port || a.transport.localeCompare(b.transport))
    .slice(0, MAX_LISTENERS);
}

/** In the stack's namespace by the dial rule (protocol/ports/dial-rule.ts), in a container at its addresses. */
function isFoundWithoutAddress(ip: string, container: boolean): boolean {
  if (EVERY_ADDRESS.includes(ip)) return true;
  return container ? !isLoopback(ip) : ip === '127.0.0.1' || ip === '::1';
}

/** Of this namespace, at the time of the call. */
export function ephemeralRange(): PortRange {
  try {
    const [first, last] = readFileSync('/proc/sys/net/ipv4/ip_local_port_range', 'utf8')
      .trim()
      .split(/\s+/)
      .map(Number);
    return first && last ? { first, last } : USUAL_EPHEMERAL;
  } catch {
    return USUAL_EPHEMERAL;
  }
}

/** Inodes of the sockets that this process has, such as those of DNS servers. */
export function socketInodes(): Set<number> {
  const inodes = new Set<number>();
  const directory = '/proc/self/fd';
  try {
    for (const fd of readdirSync(directory)) {
      const inode = /^socket:\[(\d+)\]$/.exec(linkOf(`${directory}/${fd}`))?.[1];
      if (inode !== undefined) inodes.add(Number(inode));
    }
  } catch {
    // No descriptor is free.
  }
  return inodes;
}

function linkOf(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    // Closed meanwhile.
    return '';
  }
}
