/**
 * An address of the host that clients connect to, as people write it: `127.0.0.2:8080`, `[::1]:53/udp`, `localhost:8080`, `8080`,
 * or the URL of a browser, `http://127.0.0.2:8080/path`.
 */
import { ExpectedError } from '../errors/expected-error.js';
import {
  bracket,
  checkAddress,
  checkPort,
  parseRange,
  plainAddress,
  quote,
  splitFields,
  splitSlash,
} from '../ports/port-text.js';

export interface HostAddress {
  transport: 'tcp' | 'udp';
  ip: string;
  port: number;
}

const EXPECTED = 'expected [address:]port[/tcp|udp], such as 127.0.0.2:8080 or [::1]:53/udp';
const LOOPBACK = '127.0.0.1';

export class HostAddressError extends ExpectedError {
  override name = 'HostAddressError';
  override readonly code: string = 'invalid-address';
  override readonly httpStatus = 400;
}

/** The address is 127.0.0.1 unless given, and for localhost. Throws HostAddressError. */
export function parseHostAddress(text: string): HostAddress {
  const fail = (problem: string): never => {
    throw new HostAddressError(`invalid address ${quote(text)}: ${problem}; ${EXPECTED}`);
  };
  const [place, protocol = 'tcp'] = splitSlash(authorityOf(text) ?? text);
  const transport = protocol.toLowerCase();
  if (transport !== 'tcp' && transport !== 'udp') return fail(`unknown protocol ${quote(transport)}`);
  const fields = splitFields(place, fail);
  if (fields.length > 2) fail('too many colons, an IPv6 address needs brackets');
  const { first: port, count } = parseRange(fields.at(-1)?.text ?? '', 'port', fail);
  if (count > 1) fail('give one port');
  checkPort(port, 'port', 1, fail);
  const ip = (fields.length === 2 && fields[0]?.text) || LOOPBACK;
  if (ip === 'localhost') return { transport, ip: LOOPBACK, port };
  checkAddress(ip, 'address', fail);
  return { transport, ip: plainAddress(ip), port };
}

/** The host of a URL, with its port. */
function authorityOf(text: string): string | undefined {
  const [, scheme = '', authority] = /^(https?):\/\/([^/?#]+)/i.exec(text) ?? [];
  if (authority === undefined || /:\d+$/.test(authority)) return authority;
  return `${authority}:${scheme.toLowerCase() === 'https' ? 443 : 80}`;
}

/** `127.0.0.2:8080/tcp`; parseHostAddress() gives the same back. */
export function formatHostAddress({ transport, ip, port }: HostAddress): string {
  return `${bracket(ip)}:${port}/${transport}`;
}
