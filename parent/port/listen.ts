/**
 * Opens a published port on the host, and says why it cannot be opened.
 */
import { readFileSync } from 'node:fs';
import { isIPv6 } from 'node:net';
import { native } from '../../native/index.js';
import type { PortSpec } from '../../protocol/ports.js';
import { errorCode } from '../errors.js';
import { PortBindError } from './errors.js';

/** The protocol of a spec without its address family. */
export function baseProtocol(proto: string): 'tcp' | 'udp' {
  return proto.startsWith('udp') ? 'udp' : 'tcp';
}

/** Whether an address on the host means every one. */
export function isUnspecified(ip: string): boolean {
  return /^[0:.]*$/.test(ip);
}

/**
 * Listens as Go does, whose rules RootlessKit's users know: `tcp` and `udp` on an unspecified address take both
 * families; with 4 or 6 only that one. Throws PortBindError.
 */
export function bindListener(spec: PortSpec): { fd: number; port: number } {
  const base = baseProtocol(spec.proto);
  const asked = spec.parentIP ?? '';
  const family = spec.proto.slice(base.length);
  if (!isUnspecified(asked)) return listen(asked, false);
  if (family === '4') return listen('0.0.0.0', false);
  if (family === '6') return listen('::', false);
  try {
    return listen('::', true);
  } catch (error) {
    // A host without IPv6.
    if (error instanceof PortBindError && error.code === 'EAFNOSUPPORT') return listen('0.0.0.0', false);
    throw error;
  }

  function listen(ip: string, dual: boolean): { fd: number; port: number } {
    try {
      return native().listen(ip, spec.parentPort, base, dual);
    } catch (error) {
      const where = isIPv6(asked) ? `[${asked}]:${spec.parentPort}` : `${asked}:${spec.parentPort}`;
      throw new PortBindError(errorCode(error), explainBind(`listen ${spec.proto} ${where}`, errorCode(error), spec));
    }
  }
}

/** One line: what failed, with which value, and what to do. The wording of the system's part is Go's, which clients know. */
function explainBind(call: string, code: string, { parentPort }: PortSpec): string {
  switch (code) {
    case 'EACCES': {
      const first = readSysctl('net/ipv4/ip_unprivileged_port_start', '1024');
      return (
        `cannot expose privileged port ${parentPort}, you can add 'net.ipv4.ip_unprivileged_port_start=${parentPort}' to /etc/sysctl.conf (currently ${first}), ` +
        `or choose a larger port number (>= ${first}): ${call}: bind: permission denied`
      );
    }
    case 'EADDRINUSE':
      return `${call}: bind: address already in use; stop what listens there (ss -lntup shows it), or choose another port or address`;
    case 'EADDRNOTAVAIL':
      return `${call}: bind: cannot assign requested address; the address has to be one of this host's (ip addr shows them)`;
    case 'EMFILE':
    case 'ENFILE':
      return `${call}: socket: too many open files; close some connections, or raise the limit (ulimit -n)`;
    default:
      return `${call}: ${code}`;
  }
}

function readSysctl(name: string, otherwise: string): string {
  try {
    return readFileSync(`/proc/sys/${name}`, 'utf8').trim();
  } catch {
    return otherwise;
  }
}
