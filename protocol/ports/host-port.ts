/**
 * Ports of the host that programs inside can reach, as people write them (`rootless-run --host-port`):
 *
 *   port[:[ip:]hostPort][/protocol]
 *
 * `port` is what programs inside connect to, at the gateway's address; ip and hostPort are where that leads to on the host,
 * 127.0.0.1 and the same port unless given. Blanks around each part are removed, and IPv6 addresses are in brackets.
 */
import { ExpectedError } from '../errors/expected-error.js';
import {
  bracket,
  checkAddress,
  type Fail,
  MAX_PORT,
  plainAddress,
  quote,
  splitFields,
  splitSlash,
} from './port-text.js';

export interface HostPort {
  transport: 'tcp' | 'udp';
  /** Of the gateway's addresses, inside. */
  port: number;
  /** On the host. */
  host: { ip: string; port: number };
}

const EXPECTED = 'expected port[:[ip:]hostPort][/tcp|udp], such as 5432 or 5432:127.0.0.1:5433';
const LOOPBACK = '127.0.0.1';

export class HostPortError extends ExpectedError {
  override name = 'HostPortError';
  override readonly code: string = 'invalid-port';
}

/** Throws HostPortError. */
export function parseHostPort(text: string): HostPort {
  const fail = (problem: string): never => {
    throw new HostPortError(`invalid --host-port ${quote(text)}: ${problem}; ${EXPECTED}`);
  };
  const [ports, protocol = 'tcp'] = splitSlash(text);
  const transport = protocol.trim().toLowerCase();
  if (transport !== 'tcp' && transport !== 'udp') return fail(`unknown protocol ${quote(transport)}`);
  const fields = splitFields(ports, fail);
  if (fields.length > 3) fail('too many colons, an IPv6 address needs brackets');
  const [inside = '', ...outside] = fields.map((field) => field.text);
  const port = parsePort(inside, 'port', fail);
  const hostPort = outside.pop();
  return {
    transport,
    port,
    host: {
      ip: parseIP(outside.pop() ?? '', fail),
      port: hostPort === undefined ? port : parsePort(hostPort, 'host port', fail),
    },
  };
}

/** `5432:127.0.0.1:5433/tcp`; parseHostPort() gives the same back. */
export function formatHostPort({ transport, port, host }: HostPort): string {
  return `${port}:${bracket(host.ip)}:${host.port}/${transport}`;
}

/** Throws HostPortError if one port leads to several places. */
export function checkHostPorts(list: readonly HostPort[]): void {
  const before = new Set<string>();
  for (const { transport, port } of list) {
    const key = `${port}/${transport}`;
    if (before.has(key)) throw new HostPortError(`invalid --host-port: ${key} is given twice`);
    before.add(key);
  }
}

function parsePort(text: string, what: string, fail: Fail): number {
  if (text === '') return fail(`no ${what}`);
  if (/^\d+\s*-\s*\d+$/.test(text)) return fail('ranges are not supported');
  if (!/^\d{1,9}$/.test(text)) return fail(`${what} ${quote(text)} is not a number`);
  const port = Number(text);
  return port >= 1 && port <= MAX_PORT ? port : fail(`${what} ${port} is not between 1 and ${MAX_PORT}`);
}

function parseIP(text: string, fail: Fail): string {
  if (text === '') return LOOPBACK;
  const { unspecified } = checkAddress(text, 'host address', fail);
  if (unspecified) fail(`host address ${quote(text)} is not the address of a service`);
  return plainAddress(text);
}
