import { isIP } from 'node:net';

/**
 * Published ports of containers as people write them: `[ip:][hostPort[-range]:]containerPort[-range][/tcp|udp]`.
 *
 * The grammar is that of docker run -p and nerdctl: IPv6 addresses in brackets; without a host port, or with an empty
 * one, any free port is taken; ranges of equal length go together one by one, and of a range for a single container port
 * the first free one is taken.
 */

export const PUBLISH_FORM = '[ip:][hostPort:]containerPort[/proto]';

export interface PublishSpec {
  /** "" stands for every address, IPv4 and IPv6. */
  hostIP: string;
  /** 0 for any free one. */
  hostPort: number;
  /** The first free one from hostPort to this one. */
  hostPortEnd?: number | undefined;
  containerPort: number;
  protocol: 'tcp' | 'udp';
}

/** A published port that cannot be meant. The message is one line and complete. */
export class PublishSpecError extends Error {
  override name = 'PublishSpecError';
  constructor(text: string, problem: string) {
    super(
      `invalid published port ${JSON.stringify(text.slice(0, 100))}: ${problem}; expected ${PUBLISH_FORM}, such as 127.0.0.2:8080:80/tcp`,
    );
  }
}

const MAX_PORT = 65_535;

/** One for a single port, one for each of a range. Throws PublishSpecError. */
export function parsePublish(text: string): PublishSpec[] {
  const fail = (problem: string): never => {
    throw new PublishSpecError(text, problem);
  };
  const [ports = '', protocol = 'tcp', ...more] = text.split('/');
  if (more.length > 0) fail('more than one slash');
  if (protocol !== 'tcp' && protocol !== 'udp') {
    return fail(`the protocol ${JSON.stringify(protocol)} is not tcp or udp`);
  }
  const { hostIP, host, container } = split(ports, fail);
  if (hostIP !== '' && isIP(hostIP) === 0) fail(`${JSON.stringify(hostIP)} is not an IP address`);

  const inside = range(container, 'container port', 1, fail);
  const outside = host === '' ? { first: 0, count: inside.count } : range(host, 'host port', 0, fail);
  if (outside.first === 0 && outside.count > 1 && host !== '') fail('a range of host ports cannot begin with 0');
  if (inside.count === 1 && outside.count > 1) {
    const hostPortEnd = outside.first + outside.count - 1;
    return [{ hostIP, hostPort: outside.first, hostPortEnd, containerPort: inside.first, protocol }];
  }
  if (inside.count !== outside.count) {
    fail(`${outside.count} host port${outside.count === 1 ? '' : 's'} for ${inside.count} container ports`);
  }
  return Array.from({ length: inside.count }, (_, offset) => ({
    hostIP,
    hostPort: outside.first === 0 ? 0 : outside.first + offset,
    containerPort: inside.first + offset,
    protocol,
  }));
}

type Fail = (problem: string) => never;

function split(text: string, fail: Fail): { hostIP: string; host: string; container: string } {
  const bracketed = /^\[([^[\]]*)\]:(.*)$/.exec(text);
  const hostIP = bracketed?.[1];
  const fields = (bracketed?.[2] ?? text).split(':');
  if (hostIP !== undefined) {
    if (fields.length > 2) fail('too many colons');
    const [host = '', container = ''] = fields.length === 1 ? ['', fields[0]] : fields;
    return { hostIP, host, container };
  }
  if (fields.length > 3) fail('too many colons; an IPv6 address needs brackets');
  const container = fields.at(-1) ?? '';
  return { hostIP: fields.length === 3 ? (fields[0] ?? '') : '', host: fields.at(-2) ?? '', container };
}

function range(text: string, what: string, least: number, fail: Fail): { first: number; count: number } {
  if (text === '') return fail(`no ${what}`);
  const match = /^(\d{1,9})(?:-(\d{1,9}))?$/.exec(text);
  if (!match) return fail(`${what} ${JSON.stringify(text)} is not a number`);
  const first = Number(match[1]);
  const last = match[2] === undefined ? first : Number(match[2]);
  if (last < first) fail(`${what}s ${text} run backwards`);
  if (first < least || last > MAX_PORT) fail(`${what} ${text} is not between ${least} and ${MAX_PORT}`);
  return { first, count: last - first + 1 };
}

/** As people read it: `127.0.0.2:8080`. */
export function formatHostPort(hostIP: string, port: number): string {
  return `${hostIP.includes(':') ? `[${hostIP}]` : hostIP || '*'}:${port}`;
}
