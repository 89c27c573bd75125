/** What is published: as text, in the grammar of the command line, or as an object. */
import { isFields } from '../../../protocol/api/report-shapes.js';
import { checkPortMapping, PortMappingError, parsePortSpec, splitProtocol } from '../../../protocol/ports/grammar.js';
import type { PortMapping } from '../../../protocol/ports/port-mapping.js';
import { MAX_PORT } from '../../../protocol/ports/port-text.js';
import { type PortSpec, portSpecOf } from '../../../protocol/ports/rootlesskit-json.js';
import { anyText, type Checks, checkFields, oneOf, shown, whole } from '../checks.js';

export interface NewPort {
  protocol?: 'tcp' | 'tcp4' | 'tcp6' | 'udp' | 'udp4' | 'udp6';
  /** Address on the host; 127.0.0.1 unless given, and "" is every address. */
  host?: string;
  /** On the host; any free one unless given. */
  port?: number;
  /** Address inside; by the dial rule unless given. */
  targetHost?: string;
  /** Inside. */
  targetPort: number;
  /** So many consecutive ports. */
  count?: number;
  /** Version of the PROXY protocol that connections begin with. */
  proxyProtocol?: 1 | 2;
}

const CHECKS: Checks<NewPort> = {
  protocol: oneOf(['tcp', 'tcp4', 'tcp6', 'udp', 'udp4', 'udp6'] satisfies NewPort['protocol'][]),
  host: anyText,
  port: whole(0, MAX_PORT),
  targetHost: anyText,
  targetPort: whole(1, MAX_PORT),
  count: whole(1, MAX_PORT),
  proxyProtocol: oneOf([1, 2]),
};

/** Throws PortMappingError. */
export function mappingOf(port: string | NewPort): PortMapping {
  if (typeof port === 'string') return parsePortSpec(port);
  if (!isFields(port)) throw invalid(`expected a string or an object, not ${shown(port)}`);
  checkFields(port, CHECKS, { fail: invalid });
  const { protocol = 'tcp', host = '127.0.0.1', targetHost = '', targetPort, count = 1, proxyProtocol } = port;
  if (targetPort === undefined) throw invalid('no targetPort');
  const mapping: PortMapping = {
    ...splitProtocol(protocol),
    host: { ip: host, port: port.port ?? 0 },
    target: { ip: targetHost, port: targetPort },
    count,
    ...(proxyProtocol && { proxyProtocol }),
  };
  checkPortMapping(mapping);
  return mapping;
}

function invalid(problem: string): PortMappingError {
  return new PortMappingError('', problem);
}

/** Throws PortMappingError. */
export function specOf(port: string | NewPort): PortSpec {
  return portSpecOf(mappingOf(port));
}
