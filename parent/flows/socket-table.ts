/**
 * The kernel's tables of sockets in /proc/PID/net (proc(5)): `tcp`, `tcp6`, `udp` and `udp6`, a line for each socket with its
 * addresses in hexadecimal and its inode. Programs inside decide how long they are, so only a part is read.
 */
import { endianness } from 'node:os';
import { parseIP } from '../../protocol/net/ip.js';

/** TCP_LISTEN in include/net/tcp_states.h, as the table has it. */
const LISTENING = '0A';
const LITTLE_ENDIAN = endianness() === 'LE';
const MAPPED = '00000000000000000000ffff';

export interface SocketRow {
  /** Keys of addresses, see addressKey(). */
  local: string;
  remote: string;
  /** Of a TCP socket. */
  listening: boolean;
  inode: string;
}

/**
 * `IP PORT` in hexadecimal, so that addresses from everywhere can be compared; IPv4 inside IPv6 as IPv4. "" if the text is not
 * an address with a port, such as `10.0.2.100:80` and `[fd00::100]:80`.
 */
export function addressKey(text: string): string {
  const colon = text.lastIndexOf(':');
  const ip = parseIP(text.slice(0, colon).replace(/^\[(.*)\]$/, '$1'));
  if (!ip) return '';
  const digits = ip.value.toString(16).padStart(ip.family === 4 ? 8 : 32, '0');
  return `${digits} ${Number(text.slice(colon + 1)).toString(16)}`;
}

export function portOfKey(key: string): string {
  return key.slice(key.indexOf(' ') + 1);
}

/** Whether the key's address is 0.0.0.0 or ::, with any port. */
export function isWildcard(key: string): boolean {
  return /^0+ /.test(key);
}

/** The lines of a table, of which the last one may be incomplete. */
export function* socketRows(text: string): Generator<SocketRow> {
  // The first line has the titles.
  for (let start = text.indexOf('\n') + 1; start > 0; ) {
    const end = text.indexOf('\n', start);
    if (end < 0) return;
    const row = parseRow(text.slice(start, end));
    if (row) yield row;
    start = end + 1;
  }
}

function parseRow(line: string): SocketRow | undefined {
  const words = line.trim().split(/\s+/);
  const [, local, remote, state] = words;
  const inode = words[9];
  // Without an inode it belongs to no program any more.
  if (local === undefined || remote === undefined || inode === undefined || inode === '0') return undefined;
  return { local: keyOf(local), remote: keyOf(remote), listening: state === LISTENING, inode };
}

/** Of an address as in the tables: `6402000A:0050` for 10.0.2.100:80, words of 32 bits in the order of the machine. */
function keyOf(text: string): string {
  const [digits = '', port = ''] = text.toLowerCase().split(':');
  const words = digits.match(/.{8}/g) ?? [];
  const ip = LITTLE_ENDIAN ? words.map((word) => (word.match(/../g) ?? []).reverse().join('')).join('') : digits;
  const plain = ip.length === 32 && ip.startsWith(MAPPED) ? ip.slice(MAPPED.length) : ip;
  return `${plain} ${Number.parseInt(port, 16).toString(16)}`;
}
