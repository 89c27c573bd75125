/**
 * Opens published ports on the host, and explains why one cannot be opened.
 */
import { readFileSync } from 'node:fs';
import { isIPv4 } from 'node:net';
import { native } from '../../native/index.js';
import { formatPortMapping } from '../../protocol/ports/grammar.js';
import { type PortMapping, part, protocolName } from '../../protocol/ports/port-mapping.js';
import { bracket, plainAddress } from '../../protocol/ports/port-text.js';
import { errnoName } from '../errors.js';
import { PortBindError } from './errors.js';

/** The sockets of a mapping that a driver forwards. */
export function socketType({ transport }: Pick<PortMapping, 'transport'>): 'tcp' | 'udp' {
  return transport === 'udp' ? 'udp' : 'tcp';
}

/** Whether an address on the host means every one. */
export function isUnspecified(ip: string): boolean {
  return /^[0:.]*$/.test(ip);
}

export interface FamilyRule {
  /** Whether `0.0.0.0` is IPv4 alone and `::` IPv6 alone, also for `tcp` and `udp`; no address is both. */
  oneFamily?: boolean;
}

/** Listeners that are open. */
export interface Listeners {
  /** One for each port, in their order. */
  fds: number[];
  /** With the host's port that was chosen, where any was asked for. */
  mapping: PortMapping;
}

/**
 * Listens on all ports of a mapping, or on none, as Go does, whose rules RootlessKit's users know: `tcp` and `udp` on an
 * unspecified address take both families; with 4 or 6 only that one. Any free port is one port. Throws PortBindError.
 */
export function openListeners(mapping: PortMapping, { oneFamily = false }: FamilyRule = {}): Listeners {
  const { family, host } = mapping;
  const type = socketType(mapping);
  const asked = plainAddress(host.ip);
  if (!isUnspecified(asked)) return listen(asked, false);
  if (family === 4 || (oneFamily && family === undefined && isIPv4(asked))) return listen('0.0.0.0', false);
  if (family === 6 || (oneFamily && asked !== '')) return listen('::', false);
  try {
    return listen('::', true);
  } catch (error) {
    // A host without IPv6.
    if (error instanceof PortBindError && error.errno === 'EAFNOSUPPORT') return listen('0.0.0.0', false);
    throw error;
  }

  function listen(ip: string, dual: boolean): Listeners {
    try {
      if (mapping.count > 1) {
        return { fds: native().listenRange(ip, host.port, mapping.count, type, dual), mapping };
      }
      const { fd, port } = native().listen(ip, host.port, type, dual);
      return { fds: [fd], mapping: { ...mapping, host: { ip: host.ip, port } } };
    } catch (error) {
      throw bindError(mapping, error);
    }
  }
}

/** @param error of the native part, with the port that failed where that is one of several */
function bindError(mapping: PortMapping, error: unknown): PortBindError {
  const offset = failedPort(error) === undefined ? 0 : Number(failedPort(error)) - mapping.host.port;
  const failed = part(mapping, offset);
  const { ip, port } = failed.host;
  const errno = errnoName(error);
  const hint =
    errno === 'EACCES' ? `rootless-run systemd install -s ${formatPortMapping(failed)} has systemd open it` : undefined;
  const call = `listen ${protocolName(failed)} ${bracket(plainAddress(ip))}:${port}`;
  return new PortBindError(errno, explainBind(call, errno, port), { hint, offset });
}

function failedPort(error: unknown): unknown {
  return error instanceof Error && 'port' in error ? error.port : undefined;
}

/** One line: what failed, with which value, and what to do. The wording of the system's part is Go's, which clients know. */
function explainBind(call: string, errno: string, port: number): string {
  switch (errno) {
    case 'EACCES': {
      const first = readSysctl('net/ipv4/ip_unprivileged_port_start', '1024');
      return (
        `cannot expose privileged port ${port}, you can add 'net.ipv4.ip_unprivileged_port_start=${port}' to /etc/sysctl.conf (currently ${first}), ` +
        `or choose a larger port number (>= ${first}): ${call}: bind: permission denied`
      );
    }
    case 'EADDRINUSE':
      return `${call}: bind: address already in use; stop what listens there (ss -lntup shows it), or choose another port or address`;
    case 'EADDRNOTAVAIL':
      return `${call}: bind: cannot assign requested address; the address has to be one of this host's (ip addr shows them)`;
    case 'EAFNOSUPPORT':
      return `${call}: socket: address family not supported; this host has no IPv6, choose an IPv4 address`;
    case 'EMFILE':
    case 'ENFILE':
      return `${call}: socket: too many open files; close some connections, or raise the limit (ulimit -n)`;
    default:
      return `${call}: ${errno}`;
  }
}

function readSysctl(name: string, otherwise: string): string {
  try {
    return readFileSync(`/proc/sys/${name}`, 'utf8').trim();
  } catch {
    return otherwise;
  }
}
