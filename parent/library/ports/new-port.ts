/** What is published: as text, in the grammar of the command line, or as an object. */
import { parsePortSpec } from '../../../protocol/ports/grammar.js';
import type { PortMapping } from '../../../protocol/ports/port-mapping.js';
import { type PortSpec, parsePortSpecJSON, portSpecOf } from '../../../protocol/ports/rootlesskit-json.js';

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

const KEYS: Readonly<Record<keyof NewPort, keyof PortSpec>> = {
  protocol: 'proto',
  host: 'parentIP',
  port: 'parentPort',
  targetHost: 'childIP',
  targetPort: 'childPort',
  count: 'count',
  proxyProtocol: 'proxyProtocol',
};

/** Throws PortMappingError. */
export function mappingOf(port: string | NewPort): PortMapping {
  if (typeof port === 'string') return parsePortSpec(port);
  const spec: Record<string, unknown> = { proto: 'tcp', parentIP: '127.0.0.1' };
  for (const [key, value] of Object.entries(port)) {
    // An unknown key is refused by its own name.
    if (value !== undefined) spec[Object.hasOwn(KEYS, key) ? KEYS[key as keyof NewPort] : key] = value;
  }
  return parsePortSpecJSON(spec);
}

/** Throws PortMappingError. */
export function specOf(port: string | NewPort): PortSpec {
  return portSpecOf(mappingOf(port));
}
