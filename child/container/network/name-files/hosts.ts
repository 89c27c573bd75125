/** The hosts(5) file of containers: the user's lines, and between two marks the addresses that we know names of. */

import { type FileHandle, open } from 'node:fs/promises';
import { errorCode, errorText } from '../../../protocol/error-text.js';
import { quote } from '../../../protocol/port-text.js';
import { ContainerError } from '../errors.js';
import { compareIPs, type IPAddress, parseIP } from '../ip-address.js';

const BEGIN = '# <rootless-net>';
const END = '# </rootless-net>';
const LOCALHOST = ['127.0.0.1\tlocalhost localhost.localdomain', '::1\tlocalhost ip6-localhost ip6-loopback'];

/** Names of the default network's containers are not also given with its name behind, as with nerdctl. */
const DEFAULT_NETWORK = 'bridge';

/** A line cannot be in a hosts file, or the file cannot be written. The message is one complete line. */
export class HostsError extends ContainerError {
  override name = 'HostsError';
}

/** A line: an address, and the names that lead to it. */
export interface HostsEntry {
  ip: string;
  names: readonly string[];
}

/** What the user wants a name to lead to; a name may be there several times. */
export interface ExtraHost {
  host: string;
  ip: string;
}

export interface RenderHostsOptions {
  /** Text of the file as it is; "" where there is none. */
  current: string;
  entries: readonly HostsEntry[];
  extraHosts: readonly ExtraHost[];
}

/**
 * The new text of a hosts file. What is not between the marks stays as it is; the lines between them are made anew, and
 * are the same for the same entries in any order.
 * @throws HostsError
 */
export function renderHosts({ current, entries, extraHosts }: RenderHostsOptions): string {
  const [before, after] = splitAtMarks(current);
  const sorted = entries
    .map((entry) => ({ entry, address: checkIP(entry.ip) }))
    .sort((a, b) => compareIPs(a.address, b.address) || compareText(a.entry.names.join(' '), b.entry.names.join(' ')));
  const lines = [
    BEGIN,
    ...LOCALHOST,
    ...extraHosts.flatMap(({ host, ip }) => hostsLine(ip, [host])),
    ...sorted.flatMap(({ entry }) => hostsLine(entry.ip, entry.names)),
    END,
  ];
  return `${before}${lines.join('\n')}\n${after}`;
}

/** A container, by what of it others can look up. */
export interface HostsContainer {
  id: string;
  name: string;
  hostname: string;
  domainname?: string;
  networks: readonly HostsNetwork[];
}

/** What a container has in a network. */
export interface HostsNetwork {
  /** The network's. */
  name: string;
  ips: readonly string[];
  /** More names of the container in this network. */
  aliases: readonly string[];
}

export interface PeerLinesOptions {
  self: HostsContainer;
  /** May include the container itself. */
  peers: readonly HostsContainer[];
}

/**
 * The entries of a container's hosts file: its own names, and those of the containers that share a network with it, at
 * the addresses that they have there.
 */
export function peerLines({ self, peers }: PeerLinesOptions): HostsEntry[] {
  const own = new Set(self.networks.map(({ name }) => name));
  return [self, ...peers.filter(({ id }) => id !== self.id)].flatMap((container) =>
    container.networks
      .filter(({ name }) => own.has(name))
      .flatMap((network) => network.ips.map((ip) => ({ ip, names: namesOf(container, network) }))),
  );
}

function namesOf({ name, hostname, domainname }: HostsContainer, network: HostsNetwork): string[] {
  const names = domainname && hostname ? [`${hostname}.${domainname}`] : [];
  for (const plain of [hostname, name, ...network.aliases]) {
    if (plain === '') continue;
    names.push(plain);
    if (network.name !== DEFAULT_NETWORK) names.push(`${plain}.${network.name}`);
  }
  return [...new Set(names)];
}

/**
 * Writes a file in place: containers have it bind-mounted, and would keep the old one if another took its name. Whoever
 * reads it meanwhile can see the end of the old text behind the new.
 * @throws HostsError
 */
export async function writeInPlace(path: string, text: string): Promise<void> {
  try {
    const file = await openOrCreate(path);
    try {
      await file.writeFile(text);
      await file.truncate(Buffer.byteLength(text));
    } finally {
      await file.close();
    }
  } catch (error) {
    throw new HostsError(`cannot write ${path}: ${errorText(error)}`);
  }
}

/** For reading by all users of the container when it is new, whatever the umask. */
async function openOrCreate(path: string): Promise<FileHandle> {
  try {
    return await open(path, 'r+');
  } catch (error) {
    if (errorCode(error) !== 'ENOENT') throw error;
  }
  const file = await open(path, 'w', 0o644);
  await file.chmod(0o644);
  return file;
}

/**
 * What is before and after the lines between the marks. Where there are none yet, their place is at the end; a begin
 * without end reaches to the end, and an end alone is taken away.
 */
function splitAtMarks(text: string): [before: string, after: string] {
  let before = '';
  let after: string | undefined;
  let inside = false;
  for (const [line] of text.matchAll(/[^\n]*\n|[^\n]+$/g)) {
    const mark = line.trim();
    if (mark === BEGIN) {
      inside = true;
      after ??= '';
    } else if (mark === END) {
      inside = false;
    } else if (!inside && after === undefined) {
      before += line;
    } else if (!inside) {
      after += line;
    }
  }
  if (before !== '' && !before.endsWith('\n')) before += '\n';
  return [before, after ?? ''];
}

/** None for no names: an address alone is no line of hosts(5). */
function hostsLine(ip: string, names: readonly string[]): string[] {
  checkIP(ip);
  const wrong = names.find((name) => !/^[^\s#]+$/.test(name));
  if (wrong !== undefined) {
    throw new HostsError(`${quote(wrong)} for ${ip} cannot be in a hosts file: names have no blanks and no "#"`);
  }
  return names.length > 0 ? [`${ip}\t${names.join(' ')}`] : [];
}

function checkIP(text: string): IPAddress {
  const address = parseIP(text);
  if (!address) throw new HostsError(`${quote(text)} cannot be in a hosts file: it is not an IP address`);
  return address;
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
