import { bracket, checkAddress, checkPort, type Fail, parseRange, plural, quote, splitFields } from './port-text.js';

/**
 * Published ports of containers, as Docker and nerdctl write them after `-p`:
 * `[ip:][hostPort[-range]:]containerPort[-range][/tcp|udp]`.
 *
 * It is not the grammar of port-spec.ts: a port alone is the container's, and there is no address of the container.
 * Blanks around every part are taken off, and addresses are kept as they were written.
 */

export const PUBLISH_FORM = '[ip:][hostPort[-range]:]containerPort[-range][/tcp|udp]';

/** What containers can publish. */
export const PUBLISH_PROTOCOLS = ['tcp', 'udp'] as const;
export type PublishProtocol = (typeof PUBLISH_PROTOCOLS)[number];

/** One port of a container, published. */
export interface PublishSpec {
  /** "" is every address, IPv4 and IPv6. */
  hostIP: string;
  /** 0 is any free one. */
  hostPort: number;
  /** Given where the first free port from hostPort up to this one is to be taken. */
  hostPortEnd?: number | undefined;
  containerPort: number;
  protocol: PublishProtocol;
}

/** A `-p` that cannot be meant. The message is one line and complete: it is shown as it is. */
export class PublishSpecError extends Error {
  override name = 'PublishSpecError';
  /**
   * @param text what the user wrote
   * @param problem what is wrong with it, naming the part
   */
  constructor(
    readonly text: string,
    readonly problem: string,
  ) {
    super(`invalid published port ${quote(text)}: ${problem}; expected ${PUBLISH_FORM}, such as 127.0.0.1:8080:80/tcp`);
  }
}

/**
 * Parses one `-p`: one spec for each port of the container. A range of host ports for a single one of the container
 * stays one spec, and ranges of equal length are taken apart.
 * @throws PublishSpecError
 */
export function parsePublish(text: string): PublishSpec[] {
  const fail = (problem: string): never => {
    throw new PublishSpecError(text, problem);
  };
  if (text.trim() === '') fail('it is empty');
  const [ports = '', protocolText = 'tcp', ...more] = text.split('/');
  if (more.length > 0) fail('unexpected slashes');
  const protocol = parseProtocol(protocolText.trim(), fail);
  const fields = splitFields(ports, fail).map((field) => field.text);
  if (fields.length > 3) fail('too many colons, an IPv6 address needs brackets');
  const [containerText = '', hostText = '', hostIP = ''] = fields.reverse();

  const container = parsePorts(containerText, 'container port', 1, fail);
  // As with Docker, no host port is port 0: any free one.
  const host = parsePorts(hostText || '0', 'host port', 0, fail);
  if (hostIP !== '') checkAddress(hostIP, 'host IP', fail);
  if (host.first === 0 && host.count > 1) fail('a range of host ports cannot begin with 0');

  const anyFree = host.first === 0;
  if (host.count > 1 && container.count === 1) {
    const hostPortEnd = host.first + host.count - 1;
    return [{ hostIP, hostPort: host.first, hostPortEnd, containerPort: container.first, protocol }];
  }
  if (!anyFree && host.count !== container.count) {
    fail(
      `ranges of different length, ${host.count} host port${plural(host.count)} for ${container.count} container port${plural(container.count)}`,
    );
  }
  return Array.from({ length: container.count }, (_, offset) => ({
    hostIP,
    hostPort: anyFree ? 0 : host.first + offset,
    containerPort: container.first + offset,
    protocol,
  }));
}

/** The spec as `-p` takes it; `parsePublish` gives the same spec back. */
export function formatPublish({ hostIP, hostPort, hostPortEnd, containerPort, protocol }: PublishSpec): string {
  const ip = hostIP === '' ? '' : `${bracket(hostIP)}:`;
  const range = hostPortEnd === undefined ? '' : `-${hostPortEnd}`;
  // Without an address there is nothing before the container's port that would have to be told apart.
  const host = hostPort === 0 ? (ip === '' ? '' : ':') : `${hostPort}${range}:`;
  return `${ip}${host}${containerPort}/${protocol}`;
}

/** In any case, as Docker takes it. */
function parseProtocol(text: string, fail: Fail): PublishProtocol {
  const protocol = text.toLowerCase();
  const known = PUBLISH_PROTOCOLS.find((name) => name === protocol);
  if (known) return known;
  if (protocol === 'sctp') return fail('sctp is not supported, ports are forwarded for tcp and udp only');
  return fail(`invalid protocol ${quote(text)}`);
}

function parsePorts(text: string, what: string, least: number, fail: Fail): { first: number; count: number } {
  const range = parseRange(text, what, fail);
  checkPort(range.first, what, least, fail);
  return range;
}
