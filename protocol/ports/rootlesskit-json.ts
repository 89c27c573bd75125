/**
 * Published ports as RootlessKit's REST API has them, and as the file of persistent ports: one of the two forms that
 * mappings are converted to and from at the edge. The names of the fields are those of RootlessKit's API 1.1, so that its
 * clients work unchanged; `count` is ours.
 *
 * It is read by hand: loading zod for these few fields, and having it check the first thousand ports, takes longer than all
 * else that publishes them.
 */
import { quote } from '../text/preview.js';
import { checkPortMapping, PortMappingError, splitProtocol } from './grammar.js';
import { type PortMapping, type PublishedPort, protocolName, singles } from './port-mapping.js';

/** Body of `POST /v1/ports`. */
export interface PortSpec {
  /** tcp, tcp4, tcp6, udp, udp4, udp6, in lower case. */
  proto: string;
  /** Address on the host; absent or "" means every address. */
  parentIP?: string;
  /** Port on the host; 0 asks for any free one, and the status then holds the one that was chosen. */
  parentPort: number;
  /** Address in the child's network namespace; absent means: by the dial rule. */
  childIP?: string;
  childPort: number;
  /** So many consecutive ports, on both sides; absent for one. */
  count?: number;
  /** TCP: version of the PROXY protocol that connections begin with; absent for none. */
  proxyProtocol?: 1 | 2;
}

/** An address of a published port that clients on the host can connect to. */
export function reachableIP({ proto, parentIP = '' }: Pick<PortSpec, 'proto' | 'parentIP'>): string {
  if (parentIP === '::' || (parentIP === '' && proto.endsWith('6'))) return '::1';
  return parentIP === '' || parentIP === '0.0.0.0' ? '127.0.0.1' : parentIP;
}

export interface PortStatus {
  /** From 1 on, and never used again while the stack runs; of a range, of its first port. */
  id: number;
  spec: PortSpec;
  /** An addition: it is published while something listens inside; by that program, where it is known. */
  auto?: true;
  program?: string;
}

const FIELDS = ['proto', 'parentIP', 'parentPort', 'childPort', 'childIP', 'count', 'proxyProtocol'] as const;
type Field = (typeof FIELDS)[number];
type Fields = Partial<Record<Field, unknown>>;

/** In lower case, too. */
const FIELD_BY_NAME = new Map(FIELDS.flatMap((name) => [[name, name] as const, [name.toLowerCase(), name] as const]));

/**
 * The mapping that a client sent, checked, with addresses as they were written. Nearly as generous as RootlessKit: null
 * and missing fields count as their zero value, and the names of fields and the protocol may be written in any case. An
 * unknown field is refused, since it would be ignored.
 * @throws PortMappingError
 */
export function parsePortSpecJSON(value: unknown): PortMapping {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new PortMappingError('', `${quote(value)} is not an object with proto, parentPort and childPort`);
  }
  const fields: Fields = {};
  for (const [name, field] of Object.entries(value)) fields[fieldOf(name)] = field;
  const proto = textOf(fields, 'proto').toLowerCase();
  const host = { ip: textOf(fields, 'parentIP'), port: numberOf(fields, 'parentPort') };
  const childPort = numberOf(fields, 'childPort');
  const target = { ip: textOf(fields, 'childIP'), port: childPort };
  const proxyProtocol = fields.proxyProtocol ?? undefined;
  if (proxyProtocol !== undefined && proxyProtocol !== 1 && proxyProtocol !== 2)
    throw wrong(fields, 'proxyProtocol', '1 or 2');
  const count = numberOf(fields, 'count', 1);
  if (count < 1) throw wrong(fields, 'count', 'a number from 1 on');
  const mapping: PortMapping = { ...splitProtocol(proto), host, target, count };
  if (proxyProtocol) mapping.proxyProtocol = proxyProtocol;
  checkPortMapping(mapping);
  return mapping;
}

/** The fields come in RootlessKit's order. */
export function portSpecOf(mapping: PortMapping): PortSpec {
  const { count, host, proxyProtocol, target } = mapping;
  const proto = protocolName(mapping);
  const ports = { parentPort: host.port, childPort: target.port };
  const spec: PortSpec = host.ip === '' ? { proto, ...ports } : { proto, parentIP: host.ip, ...ports };
  if (target.ip !== '') spec.childIP = target.ip;
  if (count > 1) spec.count = count;
  if (proxyProtocol) spec.proxyProtocol = proxyProtocol;
  return spec;
}

/** The answer to a request for these ports. */
export function portStatusOf(port: PublishedPort): PortStatus {
  const status: PortStatus = { id: port.id, spec: portSpecOf(port) };
  if (port.auto === undefined) return status;
  const { program } = port.auto;
  return { ...status, auto: true, ...(program !== undefined && { program }) };
}

/** Each port on its own, as RootlessKit lists and reports them; made one at a time. */
export function* portStatuses(ports: Iterable<PublishedPort>): Generator<PortStatus> {
  for (const port of singles(ports)) yield portStatusOf(port);
}

/** Throws PortMappingError. */
function fieldOf(name: string): Field {
  const known = FIELD_BY_NAME.get(name) ?? FIELD_BY_NAME.get(name.toLowerCase());
  if (known !== undefined) return known;
  throw new PortMappingError('', `unknown key ${quote(name)}; there are ${FIELDS.join(', ')}`);
}

function textOf(fields: Fields, name: Field): string {
  const value = fields[name] ?? '';
  if (typeof value !== 'string') throw wrong(fields, name, 'a string');
  return value;
}

function numberOf(fields: Fields, name: Field, otherwise = 0): number {
  const value = fields[name] ?? otherwise;
  if (typeof value !== 'number' || !Number.isSafeInteger(value)) throw wrong(fields, name, 'a whole number');
  return value;
}

/** On one line: `parentPort "8080" is not a whole number`. */
function wrong(fields: Fields, name: Field, expected: string): PortMappingError {
  return new PortMappingError('', `${name} ${quote(fields[name])} is not ${expected}`);
}
