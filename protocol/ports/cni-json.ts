/**
 * Published ports as containers have them, in the API, on disk, and for CNI plugins (CONVENTIONS.md of CNI,
 * `portMappings`): the other one of the two forms that mappings are converted to and from at the edge. The names of the
 * fields are CNI's; `hostPortEnd` and `count` are ours, and plugins get each port on its own.
 */
import { type PortMapping, singles } from './port-mapping.js';

export interface CNIPortMapping {
  /** "" is every address, IPv4 and IPv6. */
  hostIP: string;
  /** 0 is any free one. */
  hostPort: number;
  /** Given where the first free port from hostPort up to this one is to be used. */
  hostPortEnd?: number | undefined;
  containerPort: number;
  protocol: 'tcp' | 'udp';
  /** So many consecutive ports, on both sides; absent for one. */
  count?: number | undefined;
}

/** An unspecified address stands for its own family; every address is "". */
export function mappingOf({
  hostIP,
  hostPort,
  hostPortEnd,
  containerPort,
  protocol,
  count = 1,
}: CNIPortMapping): PortMapping {
  const family = hostIP === '0.0.0.0' ? 4 : hostIP === '::' ? 6 : undefined;
  return {
    transport: protocol,
    ...(family && { family }),
    host: { ip: hostIP, port: hostPort, ...(hostPortEnd !== undefined && { end: hostPortEnd }) },
    target: { ip: '', port: containerPort },
    count,
  };
}

/** Of a mapping for TCP or UDP. */
export function cniMappingOf({ count, host, target, transport }: PortMapping): CNIPortMapping {
  return {
    hostIP: host.ip,
    hostPort: host.port,
    ...(host.end !== undefined && { hostPortEnd: host.end }),
    containerPort: target.port,
    protocol: transport === 'udp' ? 'udp' : 'tcp',
    ...(count > 1 && { count }),
  };
}

/** Each port on its own. */
export function cniSingles(ports: Iterable<CNIPortMapping>): CNIPortMapping[] {
  return [...singles([...ports].map(mappingOf))].map(cniMappingOf);
}
