/** What the results of a trace mean, and what can be done. */

import type { HostAddress } from '../../../protocol/net/host-address.js';
import { formatPortMapping } from '../../../protocol/ports/grammar.js';
import { type PublishedPort, part } from '../../../protocol/ports/port-mapping.js';
import { bracket } from '../../../protocol/ports/port-text.js';
import type { TargetTrace } from '../../../protocol/wire/messages.js';

/** Ports that are named where none fits. */
const MAX_NAMED = 3;

const MEANINGS: Readonly<Record<string, string>> = {
  EACCES: 'the network inside refuses connections to it (a firewall rule)',
  EADDRNOTAVAIL: 'no address inside can connect to it',
  EHOSTUNREACH: 'no route to it inside',
  ENETUNREACH: 'no route to it inside',
  ENOENT: 'the container has ended',
  ETIMEDOUT: 'no answer: a firewall drops what is sent to it, or the server accepts no more connections',
};

/** Of the errno of an address that was tried. */
export function meaningOf(error: string, transport: 'tcp' | 'udp'): string {
  if (error === 'ECONNREFUSED')
    return transport === 'udp' ? 'no program is bound to it' : 'connection refused: no program listens on it';
  return Object.hasOwn(MEANINGS, error) ? (MEANINGS[error] ?? error) : `it failed with ${error}`;
}

export const adviceFor = {
  unpublished({ transport, ip, port }: HostAddress, ports: readonly PublishedPort[]): string {
    const publish = `rootlessctl add-ports ${bracket(ip)}:${port}:PORT/${transport}`;
    const near = ports.filter(({ host, count }) => port >= host.port && port < host.port + count).slice(0, MAX_NAMED);
    if (near.length === 0) return `publish it with: ${publish}`;
    const names = near.map((one) => formatPortMapping(part(one, port - one.host.port)));
    return `published are ${names.join(', ')}; connect to that address, or publish this one with: ${publish}`;
  },

  agent(): string {
    return 'the stack starts another one by itself; what rootless-run has printed shows why it was lost';
  },

  refused(port: PublishedPort, { tried, listening }: TargetTrace, container: string | undefined): string {
    const { transport, target, host } = port;
    const where = container === undefined ? 'inside' : `in the container ${container}`;
    if (tried.some(({ error }) => error === 'ETIMEDOUT'))
      return `see the firewall rules ${where}, and whether the server hangs`;
    const others = listening.filter((ip) => !tried.some((one) => one.ip === ip));
    const [other] = others;
    if (other !== undefined) {
      const better = `${bracket(host.ip)}:${host.port}:${bracket(other)}:${target.port}`.replace(/^:/, '');
      const listen = transport === 'udp' ? 'bound' : 'listening';
      const every = other.includes(':') ? '::' : '0.0.0.0';
      const publish = container === undefined ? `, or publish ${better}/${transport}` : '';
      return `a program ${where} is ${listen} on ${bracket(other)}:${target.port}, where this port does not lead; let it listen on ${every}${publish}`;
    }
    return `no program ${where} listens on ${transport} port ${target.port}: start the server, or publish the port that it listens on`;
  },
};
