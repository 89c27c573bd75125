/**
 * The DNS server for the host's programs (`--dns-publish`): names in rootless.internal of this stack, of its containers, and of
 * other stacks of this user, with addresses at which the host reaches them.
 *
 * Theory of operation. The engine has the sockets (native/src/dns/server/), and the names as a whole, which each change replaces
 * soon after. Anything else is refused: it is not an open resolver. The agent reports names of containers; it is not
 * trusted, so it decides about names in this domain only, never about addresses of loopback, and what it reports is bounded
 * (protocol/wire/published-names.ts). Answers go on while no agent is there.
 *
 *   NAME                where its ports are published: those of a stack (--name), or of a container; a container without published
 *                       ports has its addresses on networks
 *   NAME.NETWORK        the addresses of a container on that network
 */
import ipaddr from 'ipaddr.js';
import { type Engine, native } from '../../native/index.js';
import { formatNameListener, type NameListener } from '../../protocol/dns/name-listener.js';
import { answersOf } from '../../protocol/dns/origins.js';
import { DOMAIN, type ZoneEntry, zoneText } from '../../protocol/dns/zone-text.js';
import { canonical } from '../../protocol/net/ip.js';
import type { PortMapping } from '../../protocol/ports/port-mapping.js';
import { bracket } from '../../protocol/ports/port-text.js';
import type { StackRecord } from '../../protocol/state/stack-record.js';
import type { PublishedNames } from '../../protocol/wire/published-names.js';
import { UserError } from '../errors.js';
import { PortBindError } from '../port/errors.js';
import { type Listeners, openListeners } from '../port/listen.js';
import { HOST_SERVER } from './query-events.js';

/** Attempts to find a port that is free for UDP and TCP, where any will do. */
const ATTEMPTS = 20;
/** Several changes become one, in ms. */
const SETTLE_MS = 20;

export interface HostNamesDeps {
  engine: Pick<Engine, 'adoptNameServer' | 'setZone' | 'closeNameServer' | 'nameCounters'>;
  /** This stack's name, and where its ports are published, without those of containers. */
  own: () => Pick<StackRecord, 'name' | 'addresses'>;
  /** Other stacks with names. */
  others: () => readonly Pick<StackRecord, 'name' | 'addresses'>[];
  /** Where a container's ports are published; none where it has none. */
  publishedBy: (container: string) => readonly string[];
}

export class HostNames {
  #containers: PublishedNames = { networks: [] };
  #timer: NodeJS.Timeout | undefined;

  private constructor(
    private readonly deps: HostNamesDeps,
    private readonly address: NameListener,
  ) {}

  /** Throws UserError where the address cannot be listened at. */
  static open(listener: NameListener, deps: HostNamesDeps): HostNames {
    const { udp, tcp, port } = openSockets(listener);
    const names = new HostNames(deps, { ...listener, port });
    deps.engine.adoptNameServer(HOST_SERVER, udp, tcp, names.#zone());
    return names;
  }

  /** Replaces the names of containers. */
  setContainers(names: PublishedNames): void {
    this.#containers = names;
    this.changed();
  }

  /** Names or addresses may have changed. */
  changed(): void {
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      this.deps.engine.setZone(HOST_SERVER, this.#zone());
    }, SETTLE_MS).unref();
  }

  report(): { address: string; answers: Record<string, number> } {
    const answers = answersOf(this.deps.engine.nameCounters(HOST_SERVER));
    return { address: formatNameListener(this.address), answers };
  }

  close(): void {
    clearTimeout(this.#timer);
    this.deps.engine.closeNameServer(HOST_SERVER);
  }

  #zone(): string {
    const { own, others, publishedBy } = this.deps;
    return hostZone({ stacks: [own(), ...others()], containers: this.#containers, publishedBy });
  }
}

/** The names as text for the engine (native/src/dns/server/zone.h). */
export function hostZone({
  stacks,
  containers,
  publishedBy,
}: {
  stacks: readonly Pick<StackRecord, 'name' | 'addresses'>[];
  containers: PublishedNames;
  publishedBy: HostNamesDeps['publishedBy'];
}): string {
  const domain: ZoneEntry[] = stacks.flatMap(({ name, addresses = [] }) =>
    name === undefined || addresses.length === 0 ? [] : [{ names: [name.toLowerCase()], addresses }],
  );
  const reverse: { address: string; name: string }[] = [];
  for (const { network, entries } of containers.networks) {
    for (const { names, addresses, container } of entries) {
      const inside = addresses.filter(isElsewhere);
      const published = container === '' ? [] : publishedBy(container);
      domain.push({ names, addresses: published.length > 0 ? published : inside });
      domain.push({ names: names.map((name) => `${name}.${network}`), addresses: inside });
      for (const address of inside) reverse.push({ address, name: `${names[0]}.${network}.${DOMAIN}` });
    }
  }
  const subnets = containers.networks.flatMap((network) => network.subnets);
  return zoneText({ outside: 'never', subnets, domain, reverse });
}

/** Not an address of the host itself, nor one that means no host: containers have none of these. */
function isElsewhere(address: string): boolean {
  const range = ipaddr.process(address).range();
  return !['loopback', 'unspecified', 'multicast', 'broadcast', 'linkLocal'].includes(range);
}

/** Throws UserError. */
function openSockets({ ip, port }: NameListener): { udp: number; tcp: number; port: number } {
  const mapping = (transport: 'tcp' | 'udp', hostPort: number): PortMapping => ({
    transport,
    host: { ip: canonical(ip), port: hostPort },
    target: { ip: '', port: 53 },
    count: 1,
  });
  for (let attempt = 1; ; attempt++) {
    const udp = listen(mapping('udp', port), []);
    try {
      const chosen = udp.mapping.host.port;
      const tcp = listen(mapping('tcp', chosen), udp.fds);
      return { udp: udp.fds[0] ?? -1, tcp: tcp.fds[0] ?? -1, port: chosen };
    } catch (error) {
      if (port !== 0 || attempt === ATTEMPTS) throw error;
    }
  }
}

/** Throws UserError, and then closes `others`. */
function listen(mapping: PortMapping, others: readonly number[]): Listeners {
  try {
    return openListeners(mapping);
  } catch (error) {
    for (const fd of others) native().closeFd(fd);
    if (!(error instanceof PortBindError)) throw error;
    throw new UserError(`--dns-publish ${bracket(mapping.host.ip)}:${mapping.host.port}: ${error.message}`);
  }
}
