/**
 * Ports that are published while something listens inside, `-p auto`:
 *
 *   [hostIP:]auto[:first[-last]][/tcp|/udp]
 *
 * Without an address of the host each stack and container has one of its own on loopback; without ports, all are meant but
 * the ephemeral ones, which the kernel chooses (ip(7), ip_local_port_range).
 */
import { isIP } from 'node:net';
import type { CNIPortMapping } from './cni-json.js';
import { PortMappingError } from './grammar.js';
import type { PortAddress } from './port-mapping.js';
import {
  bracket,
  checkAddress,
  checkPort,
  type Fail,
  parseRange,
  quote,
  splitFields,
  splitSlash,
} from './port-text.js';

type AutoTransport = CNIPortMapping['protocol'];

export interface PortRange {
  first: number;
  last: number;
}

/** What of it is published, and where. */
export interface AutoPublish {
  /** Address of the host; "" for that of the stack or container. */
  ip: string;
  /** Both where absent. */
  transport?: AutoTransport | undefined;
  /** All but ephemeral ones where absent. */
  ports?: PortRange | undefined;
}

/** Something that listens inside: a TCP socket, or a UDP socket that is bound and not connected. */
export interface Listener {
  transport: AutoTransport;
  /** The address inside to connect to; "" where the dial rule, or the container's address, leads there. */
  ip: string;
  port: number;
  /** Number of the socket, by which its process is found (proc(5)). */
  inode: number;
}

/** Of one stack or container; of more listeners the agent reports none. */
export const MAX_LISTENERS = 256;
/** Of those, the ports that are published. */
export const MAX_AUTO_PORTS = 64;

const FORM = '[ip:]auto[:port[-port]][/tcp|udp]';
const PORT = 'port';

/** Whether a text for -p is of this form. */
export function isAutoPublish(text: string): boolean {
  return /(^|:)\s*auto\s*([:/]|$)/i.test(text);
}

/** Throws PortMappingError. */
export function parseAutoPublish(text: string): AutoPublish {
  const fail: Fail = (problem) => {
    throw new PortMappingError(text, problem, { expected: `; expected ${FORM}, such as auto or auto:3000-9999` });
  };
  const [place, end] = splitSlash(text);
  const protocol = end?.trim().toLowerCase();
  if (protocol !== undefined && protocol !== 'tcp' && protocol !== 'udp') fail(`invalid protocol ${quote(protocol)}`);
  const fields = splitFields(place, fail);
  const at = fields.findIndex((field) => field.text.toLowerCase() === 'auto');
  if (at < 0 || at > 1) fail('only an address may be before auto');
  if (fields.length > at + 2) fail('too many colons, an IPv6 address needs brackets');
  const ip = at === 1 ? (fields[0]?.text ?? '') : '';
  if (at === 1) checkAddress(ip, 'address', fail);
  const range = fields[at + 1]?.text;
  return {
    ip,
    ...(protocol !== undefined && { transport: protocol as AutoTransport }),
    ...(range !== undefined && { ports: portsOf(range, fail) }),
  };
}

/** As parseAutoPublish() takes it. */
export function formatAutoPublish({ ip, transport, ports }: AutoPublish): string {
  const range = ports && (ports.first === ports.last ? `${ports.first}` : `${ports.first}-${ports.last}`);
  return `${ip === '' ? '' : `${bracket(ip)}:`}auto${range ? `:${range}` : ''}${transport ? `/${transport}` : ''}`;
}

/** Whether a listener is meant, as far as that does not depend on which ports are ephemeral. */
export function isMeant(
  { transport, ports }: Pick<AutoPublish, 'transport' | 'ports'>,
  listener: Pick<Listener, 'transport' | 'port'>,
): boolean {
  if (transport !== undefined && transport !== listener.transport) return false;
  return ports === undefined || (ports.first <= listener.port && listener.port <= ports.last);
}

/** What a browser is given for a published TCP port: https for those that are usual for it. */
export function urlOf({ ip, port }: PortAddress): string {
  const host = ip === '' || ip === '0.0.0.0' || ip === '::' ? 'localhost' : bracket(ip);
  const scheme = port === 443 || port === 8443 ? 'https' : 'http';
  const usual = scheme === 'https' ? 443 : 80;
  return `${scheme}://${host}${port === usual ? '' : `:${port}`}/`;
}

function portsOf(text: string, fail: Fail): PortRange {
  const { first, count } = parseRange(text, PORT, fail);
  checkPort(first, PORT, 1, fail);
  return { first, last: first + count - 1 };
}

/** Reads what came in a message; undefined where it is not a list of listeners. */
export function parseListeners(value: unknown): Listener[] | undefined {
  if (!Array.isArray(value) || value.length > MAX_LISTENERS) return undefined;
  const found: Listener[] = [];
  for (const one of value as unknown[]) {
    const { transport, ip, port, inode } = (one ?? {}) as Partial<Record<keyof Listener, unknown>>;
    if (transport !== 'tcp' && transport !== 'udp') return undefined;
    if (typeof ip !== 'string' || (ip !== '' && isIP(ip) === 0)) return undefined;
    if (!isWhole(port, 1, 65_535) || !isWhole(inode, 0, 0xffff_ffff)) return undefined;
    found.push({ transport, ip, port, inode });
  }
  return found;
}

function isWhole(value: unknown, least: number, most: number): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value >= least && value <= most;
}
