/** Who has a port of the host that could not be published: the parent knows of sockets, containers are known here. */
import { isIP } from 'node:net';
import { type CNIPortMapping, mappingOf } from '../../../protocol/ports/cni-json.js';
import type { PortMapping } from '../../../protocol/ports/port-mapping.js';
import { bracket } from '../../../protocol/ports/port-text.js';
import { ConflictError } from '../errors.js';

export interface PortHolder {
  name: string;
  ports: readonly CNIPortMapping[];
}

/**
 * @param publish what could not be published
 * @param holders containers that run
 * @returns undefined if none of these ports is another container's, or requested twice
 */
export function portConflict(
  publish: readonly CNIPortMapping[],
  holders: readonly PortHolder[],
): ConflictError | undefined {
  const held = holders.flatMap(({ name, ports }) => ports.map((port) => ({ holder: name, mapping: mappingOf(port) })));
  for (const mapping of publish.map(mappingOf)) {
    // Of such a range any free one is chosen.
    if (mapping.host.port === 0 || mapping.host.end !== undefined) continue;
    let first: { port: number; holder: string } | undefined;
    for (const one of held) {
      const port = sharedPort(mapping, one.mapping);
      if (port !== undefined && (first === undefined || port < first.port)) first = { port, holder: one.holder };
    }
    if (first) return conflict(mapping, first.port, first.holder);
    held.push({ holder: '', mapping });
  }
  return undefined;
}

/** The first port of the host that both have; undefined if there is none. */
function sharedPort(a: PortMapping, b: PortMapping): number | undefined {
  if (a.transport !== b.transport || !overlap(a.host.ip, b.host.ip)) return undefined;
  const port = Math.max(a.host.port, b.host.port);
  return port < Math.min(a.host.port + a.count, b.host.port + b.count) ? port : undefined;
}

/** @param holder name of a container; "" for the one that asks */
function conflict({ host, transport }: PortMapping, port: number, holder: string): ConflictError {
  const where = `listen ${transport} ${bracket(host.ip)}:${port}: bind: address already in use`;
  if (holder === '')
    return new ConflictError(`${where}; it is published twice`, { hint: 'choose another port or address' });
  return new ConflictError(`${where}; the container ${holder} has published it`, {
    hint: 'stop that one, or choose another port or address',
  });
}

function overlap(a: string, b: string): boolean {
  return a === b || a === '' || b === '' || wildcard(a, b) || wildcard(b, a);
}

function wildcard(every: string, one: string): boolean {
  return (every === '0.0.0.0' && isIP(one) === 4) || (every === '::' && isIP(one) === 6);
}
