/** The addresses of the host at which published ports are reached. */
import { utimesSync } from 'node:fs';
import { familyOf } from '../../protocol/net/ip.js';
import type { PortMapping } from '../../protocol/ports/port-mapping.js';
import { plainAddress } from '../../protocol/ports/port-text.js';
import { isUnspecified } from '../port/listen.js';

/** As many as a record has at most; ports on more addresses are reached all the same, but not by the name. */
const MAX_ADDRESSES = 32;

/**
 * Each once, in the order of the ports. Ports that are published at every address are reached at those of the others, too; without
 * any of their family on loopback.
 */
export function publishedAddresses(ports: readonly Pick<PortMapping, 'host' | 'family'>[]): string[] {
  const all = new Set<string>();
  const everywhere = new Set<4 | 6>();
  for (const { host, family } of ports) {
    const ip = plainAddress(host.ip);
    if (!isUnspecified(ip)) all.add(ip);
    else for (const one of family ? [family] : ([4, 6] as const)) everywhere.add(one);
    if (all.size >= MAX_ADDRESSES) break;
  }
  for (const family of everywhere) {
    if (![...all].some((ip) => familyOf(ip) === family)) all.add(family === 4 ? '127.0.0.1' : '::1');
  }
  return [...all];
}

/** Stacks with names watch the lock of names (named-stacks.ts): has them look at the records again. */
export function announceChange(namesLock: string): void {
  try {
    const now = new Date();
    utimesSync(namesLock, now, now);
  } catch {
    // The directory was removed: they look again when the next stack is given a name.
  }
}
