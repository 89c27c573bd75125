/** The hosts(5) file of containers: the user's lines, and a generated section between two marks. */

import { closeSync, fchmodSync, ftruncateSync, openSync, writeFileSync } from 'node:fs';
import { codedReasonText, errnoName } from '../../../../protocol/errors/error-text.js';
import { compareIPs, type IPAddress, parseIP } from '../../../../protocol/net/ip.js';
import { quote } from '../../../../protocol/ports/port-text.js';
import { ContainerError } from '../../errors.js';
import { DEFAULT_NETWORK } from '../network.js';

const BEGIN = '# <rootless-net>';
const END = '# </rootless-net>';
const LOCALHOST = ['127.0.0.1\tlocalhost localhost.localdomain', '::1\tlocalhost ip6-localhost ip6-loopback'];

/** An entry is invalid in a hosts file, or the file cannot be written. The message is a single line. */
export class HostsError extends ContainerError {
  override name = 'HostsError';
}

/** A line: an address and its names. */
export interface HostsEntry {
  ip: string;
  names: readonly string[];
  /** An entry of the container itself. It comes first, since resolvers use the first line with a name. */
  own?: boolean;
}

/** A user-defined entry; a name may occur several times. */
export interface ExtraHost {
  host: string;
  ip: string;
}

export interface RenderHostsOptions {
  /** The current text of the file; "" if it does not exist. */
  current: string;
  entries: readonly HostsEntry[];
  extraHosts: readonly ExtraHost[];
}

/**
 * The new text of a hosts file. Text outside of the marks is kept; the section between them is generated, and does not
 * depend on the order of the entries: the container's own come first, then the others by address.
 * @throws HostsError
 */
export function renderHosts({ current, entries, extraHosts }: RenderHostsOptions): string {
  const [before, after] = splitAtMarks(current);
  const sorted = entries
    .map((entry) => ({ entry, address: checkIP(entry.ip) }))
    .sort(
      (a, b) =>
        Number(b.entry.own ?? false) - Number(a.entry.own ?? false) ||
        compareIPs(a.address, b.address) ||
        compareText(a.entry.names.join(' '), b.entry.names.join(' ')),
    );
  const lines = [
    BEGIN,
    ...LOCALHOST,
    ...extraHosts.flatMap(({ host, ip }) => hostsLine(ip, [host])),
    ...sorted.flatMap(({ entry }) => hostsLine(entry.ip, entry.names)),
    END,
  ];
  return `${before}${lines.join('\n')}\n${after}`;
}

/** A container with the names that its peers can resolve. */
export interface HostsContainer {
  id: string;
  name: string;
  hostname: string;
  domainname?: string | undefined;
  networks: readonly HostsNetwork[];
}

/** A container's addresses and aliases on a network. */
export interface HostsNetwork {
  /** Of the network. */
  name: string;
  ips: readonly string[];
  /** Additional names of the container on this network. */
  aliases: readonly string[];
}

export interface PeerLinesOptions {
  self: HostsContainer;
  /** May include the container itself. */
  peers: readonly HostsContainer[];
}

/**
 * The entries of a container's hosts file: its own names, and those of the containers that share a network with it, with
 * their addresses on that network.
 */
export function peerLines({ self, peers }: PeerLinesOptions): HostsEntry[] {
  const own = new Set(self.networks.map(({ name }) => name));
  return [self, ...peers.filter(({ id }) => id !== self.id)].flatMap((container) =>
    container.networks
      .filter(({ name }) => own.has(name))
      .flatMap((network) =>
        network.ips.map((ip) => ({
          ip,
          names: namesOf(container, network, { own: container === self }),
          own: container === self,
        })),
      ),
  );
}

/** A container's host name with its domain, if it has both. */
export function domainNameOf({ hostname, domainname }: Pick<HostsContainer, 'hostname' | 'domainname'>): string[] {
  return domainname && hostname ? [`${hostname}.${domainname}`] : [];
}

/**
 * The first one is what programs show for the address (gethostbyaddr(3)): that of the container for its peers, its host name
 * for itself.
 */
function namesOf(container: HostsContainer, network: HostsNetwork, { own }: { own: boolean }): string[] {
  const { name, hostname } = container;
  const names = domainNameOf(container);
  for (const plain of [...(own ? [hostname, name] : [name, hostname]), ...network.aliases]) {
    if (plain === '') continue;
    names.push(plain);
    // On the default network names have no suffix, as in nerdctl.
    if (network.name !== DEFAULT_NETWORK) names.push(`${plain}.${network.name}`);
  }
  return [...new Set(names)];
}

/**
 * Writes a file in place: containers have it bind-mounted, and would keep the old one if it were replaced. A concurrent
 * reader may see the end of the old text after the new one.
 * @throws HostsError
 */
export async function writeInPlace(path: string, text: string): Promise<void> {
  try {
    const file = openOrCreate(path);
    try {
      writeFileSync(file, text);
      ftruncateSync(file, Buffer.byteLength(text));
    } finally {
      closeSync(file);
    }
  } catch (error) {
    throw new HostsError(`cannot write ${path}: ${codedReasonText(error)}`, 500, { cause: error });
  }
}

/** A new file is readable by all users of the container, regardless of the umask. */
function openOrCreate(path: string): number {
  try {
    return openSync(path, 'r+');
  } catch (error) {
    if (errnoName(error) !== 'ENOENT') throw error;
  }
  const file = openSync(path, 'w', 0o644);
  fchmodSync(file, 0o644);
  return file;
}

/**
 * The text before and after the section between the marks. Without marks the section is at the end; a begin mark without
 * an end mark extends to the end, and an end mark alone is removed.
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

/** Empty without names: an address alone is invalid in hosts(5). */
function hostsLine(ip: string, names: readonly string[]): string[] {
  checkIP(ip);
  const wrong = names.find((name) => !/^[^\s#]+$/.test(name));
  if (wrong !== undefined) {
    throw new HostsError(`${quote(wrong)} for ${ip} is invalid in a hosts file: names must not contain blanks or "#"`);
  }
  return names.length > 0 ? [`${ip}\t${names.join(' ')}`] : [];
}

function checkIP(text: string): IPAddress {
  const address = parseIP(text);
  if (!address) throw new HostsError(`${quote(text)} is invalid in a hosts file: expected an IP address`);
  return address;
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
