/**
 * The model of a published port, from the command line to the engine. A range is one mapping: thousands of ports are one
 * object, one message and one call of the engine. What speaks another form converts at the edge: rootlesskit-json.ts for
 * RootlessKit's API, cni-json.ts for containers and CNI plugins.
 */

/** No driver forwards SCTP yet, but RootlessKit's API knows it, and drivers refuse it. */
export type Transport = 'tcp' | 'udp' | 'sctp';

export interface PortAddress {
  /** As it was written, since clients find their ports again by comparing texts. */
  ip: string;
  port: number;
}

/** `count` consecutive ports of the host, each with the port in the same place at the target. */
export interface PortMapping {
  transport: Transport;
  /** Where only this one is listened on; otherwise the host's address decides, and "" is both. */
  family?: 4 | 6;
  /**
   * Where the host listens. An ip of "" is every address, port 0 is any free one; with `end` it is the first free one
   * from `port` up to that, and the count is 1.
   */
  host: PortAddress & { end?: number };
  /** Where it leads to. An ip of "" is decided by the dial rule (dial-rule.ts), or by the container. */
  target: PortAddress;
  count: number;
  /** TCP: version of the PROXY protocol that connections begin with; absent for none. */
  proxyProtocol?: 1 | 2;
}

/** Ports that a driver forwards; their ids are consecutive, too. */
export interface PublishedPort extends PortMapping {
  /** Of the first one. From 1 on, and never used again while the stack runs. */
  id: number;
  /** Id of the container that it leads to; absent for the stack's own namespace. */
  container?: string;
  /** Present where it is published while something listens inside (`-p auto`). */
  auto?: AutoPort;
}

export interface AutoPort {
  /** The program that listens: it has chosen its name itself. Absent where it was not found. */
  program?: string;
}

/** The ports of a range from number `offset` on, `count` of them, with their ids where they have any. */
export function part<T extends PortMapping>(mapping: T, offset: number, count = 1): T {
  const { host, target } = mapping;
  return {
    ...mapping,
    ...('id' in mapping && { id: Number(mapping.id) + offset }),
    host: { ...host, port: host.port === 0 ? 0 : host.port + offset },
    target: { ...target, port: target.port + offset },
    count,
  };
}

/** Each port of each range as a mapping of its own, made one at a time. */
export function* singles<T extends PortMapping>(mappings: Iterable<T>): Generator<T> {
  for (const mapping of mappings) {
    if (mapping.count === 1) yield mapping;
    else for (let offset = 0; offset < mapping.count; offset++) yield part(mapping, offset);
  }
}

/**
 * The same ports in fewer mappings: those that follow each other are one.
 * @param anyFree whether any free ports for consecutive ports of the target are one mapping, too
 */
export function joined(mappings: Iterable<PortMapping>, { anyFree = true } = {}): PortMapping[] {
  const runs: PortMapping[] = [];
  for (const mapping of mappings) {
    const last = runs.at(-1);
    const joins = last && follows(last, mapping) && (anyFree || mapping.host.port !== 0);
    if (joins) runs[runs.length - 1] = { ...last, count: last.count + mapping.count };
    else runs.push(mapping);
  }
  return runs;
}

/**
 * The reverse of joined() for published ports: one for each of the mappings that were joined.
 * @param runs that the mappings were joined to
 */
export function separated(runs: readonly PublishedPort[], mappings: readonly PortMapping[]): PublishedPort[] {
  let at = 0;
  let offset = 0;
  const ports: PublishedPort[] = [];
  for (const { count } of mappings) {
    const run = runs[at];
    if (run === undefined) break;
    ports.push(run.count === count ? run : part(run, offset, count));
    offset += count;
    if (offset < run.count) continue;
    at++;
    offset = 0;
  }
  return ports;
}

function follows(last: PortMapping, next: PortMapping): boolean {
  const { host, target } = last;
  return (
    last.transport === next.transport &&
    last.family === next.family &&
    last.proxyProtocol === next.proxyProtocol &&
    host.ip === next.host.ip &&
    target.ip === next.target.ip &&
    host.end === undefined &&
    next.host.end === undefined &&
    // Any free ones for consecutive ports of the target need not follow each other.
    next.host.port === (host.port === 0 ? 0 : host.port + last.count) &&
    next.target.port === target.port + last.count
  );
}

/** The protocol as RootlessKit names it: tcp, tcp4, udp6 … */
export function protocolName({ transport, family }: PortMapping): string {
  return `${transport}${family ?? ''}`;
}
