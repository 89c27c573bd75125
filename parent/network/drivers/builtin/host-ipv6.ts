import { readFileSync } from 'node:fs';

const PATH = '/proc/net/ipv6_route';
/** The network that the driver has itself, fd00::/64, as that file has it. */
const OWN = 'fd00'.padEnd(16, '0');
/** RTF_REJECT in linux/route.h: no route, such as the last one of every namespace. */
const REJECT = 0x200;

/**
 * Whether the host reaches IPv6 addresses: it has a default route, and none to the network that the driver would have
 * itself.
 *
 * @param text content of /proc/net/ipv6_route: destination and prefix length in hexadecimal are the first words of a line,
 *   flags and device the last ones
 */
export function hasIPv6(text: string): boolean {
  let found = false;
  for (const line of text.split('\n')) {
    const words = line.trim().split(/\s+/);
    const [destination = '', prefix = ''] = words;
    if ((Number.parseInt(words[8] ?? '', 16) & REJECT) !== 0) continue;
    const length = Number.parseInt(prefix, 16);
    if (length === 0 && words[9] !== 'lo') found = true;
    else if (destination.startsWith(OWN) && length >= 16) return false;
  }
  return found;
}

/** hasIPv6() of this host; false where it cannot be read, as without IPv6. */
export function hostHasIPv6(): boolean {
  try {
    return hasIPv6(readFileSync(PATH, 'utf8'));
  } catch {
    return false;
  }
}
