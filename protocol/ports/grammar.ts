/**
 * Published ports as people write them. There is one grammar,
 *
 *   [hostIP:]hostPort[-last]:[targetIP:]targetPort[-last][/protocol][+proxy1|+proxy2]
 *
 * and two dialects of it: RootlessKit's (`rootless-run -p`, `rootlessctl add-ports`), which calls the two sides parent and
 * child, and Docker's (`rootless-net run -p`), which has no address of the target, and where a port alone is the target's
 * and the host's any free one.
 *
 * Blanks around every part are removed, IPv6 addresses are in brackets, an empty address means none, and addresses are
 * kept as they were written. A range has as many ports on both sides; Docker's dialect also takes the first free one of a
 * range of the host. The result is one mapping, however many ports it has.
 */
import { ExpectedError } from '../errors/expected-error.js';
import { type PortMapping, protocolName } from './port-mapping.js';
import {
  type Address,
  bracket,
  checkAddress,
  checkPort,
  type Fail,
  type Field,
  parseRange,
  plural,
  quote,
  splitFields,
  splitSlash,
} from './port-text.js';

/** How a command words the grammar. */
interface PortDialect {
  /** Begins messages. */
  title: string;
  form: string;
  hostIP: string;
  hostPort: string;
  targetIP: string;
  targetPort: string;
  protocols: readonly string[];
  /** Whether an address of the target and the PROXY protocol can be given, and the host's port has to be. */
  rootlesskit: boolean;
}

const ROOTLESSKIT: PortDialect = {
  title: 'invalid port',
  form: '[parentIP:]parentPort:[childIP:]childPort[/proto][+proxy1|+proxy2]',
  hostIP: 'parent IP',
  hostPort: 'parent port',
  targetIP: 'child IP',
  targetPort: 'child port',
  protocols: ['tcp', 'tcp4', 'tcp6', 'udp', 'udp4', 'udp6', 'sctp', 'sctp4', 'sctp6'],
  rootlesskit: true,
};

const DOCKER: PortDialect = {
  title: 'invalid published port',
  form: '[ip:][hostPort[-range]:]containerPort[-range][/tcp|udp]',
  hostIP: 'host IP',
  hostPort: 'host port',
  targetIP: '',
  targetPort: 'container port',
  protocols: ['tcp', 'udp'],
  rootlesskit: false,
};

/** An invalid port. The message is one line and complete: it is shown as it is. */
export class PortMappingError extends ExpectedError {
  override name = 'PortMappingError';
  override readonly code: string = 'invalid-port';
  override readonly httpStatus = 400;
  /**
   * @param text what the user wrote; "" if that was not text, and then the problem is all there is to report
   * @param problem what is wrong with it, naming the part
   */
  constructor(
    readonly text: string,
    readonly problem: string,
    { title = ROOTLESSKIT.title, expected = '' } = {},
  ) {
    super(`${title}${text === '' && expected === '' ? '' : ` ${quote(text)}`}: ${problem}${expected}`);
  }
}

/**
 * Parses RootlessKit's dialect: `rootless-run -p` and `rootlessctl add-ports`.
 * @throws PortMappingError
 */
export function parsePortSpec(text: string): PortMapping {
  return parse(text, text, ROOTLESSKIT);
}

/**
 * Parses Docker's dialect, in its short form or its long one (`published=8080,target=80,protocol=tcp`).
 * @throws PortMappingError
 */
export function parsePublish(text: string): PortMapping {
  return parse(text, text.includes('=') ? shortForm(text, failing(text, DOCKER)) : text, DOCKER);
}

/** @param written what messages quote */
function parse(written: string, text: string, dialect: PortDialect): PortMapping {
  const fail = failing(written, dialect);
  if (text.trim() === '') fail('it is empty');
  const { ports, protocol, proxyProtocol } = splitEnd(text, dialect, fail);
  const { hostIP = '', hostPorts, targetIP = '', targetPorts } = assignFields(splitFields(ports, fail), dialect, fail);
  if (ports.includes('/')) fail('unexpected slashes');

  const host = parseRange(hostPorts, dialect.hostPort, fail);
  const target = parseRange(targetPorts, dialect.targetPort, fail);
  if (host.count > 1 && host.first === 0) fail(`a range of ${dialect.hostPort}s cannot begin with 0`);
  const chosen = !dialect.rootlesskit && host.count > 1 && target.count === 1;
  const anyFree = !dialect.rootlesskit && host.first === 0;
  if (!chosen && !anyFree && host.count !== target.count) {
    const { hostPort, targetPort } = dialect;
    fail(
      `ranges of different length, ${host.count} ${hostPort}${plural(host.count)} for ${target.count} ${targetPort}${plural(target.count)}`,
    );
  }
  const mapping: PortMapping = {
    ...splitProtocol(protocol),
    host: { ip: hostIP, port: host.first, ...(chosen && { end: host.first + host.count - 1 }) },
    target: { ip: targetIP, port: target.first },
    count: target.count,
    ...(proxyProtocol && { proxyProtocol }),
  };
  // What follows is about values, not about the form.
  check(mapping, dialect, dialect.rootlesskit ? failing(written, dialect, '') : fail);
  return mapping;
}

/**
 * Checks a mapping that did not come from this grammar: known protocol, literal addresses, ports in their limits, and an
 * address of the host on which the protocol can listen. Whether a driver supports the protocol is up to the driver.
 * @throws PortMappingError
 */
export function checkPortMapping(mapping: PortMapping): void {
  check(mapping, ROOTLESSKIT, (problem) => {
    throw new PortMappingError(formatPortMapping(mapping), problem);
  });
}

/** `tcp4` as `{ transport: 'tcp', family: 4 }`. An unknown one is kept as the transport, for checkPortMapping() to refuse. */
export function splitProtocol(name: string): Pick<PortMapping, 'transport' | 'family'> {
  const [, transport = name, family] = /^(tcp|udp|sctp)([46])$/.exec(name) ?? [];
  return {
    transport: transport as PortMapping['transport'],
    ...(family !== undefined && { family: Number(family) as 4 | 6 }),
  };
}

function failing(text: string, { title, form }: PortDialect, expected?: string): Fail {
  return (problem) => {
    throw new PortMappingError(text, problem, {
      title,
      expected: expected ?? `; expected ${form}, such as 127.0.0.1:8080:80/tcp`,
    });
  };
}

function check(mapping: PortMapping, dialect: PortDialect, fail: Fail): void {
  const { count, host, proxyProtocol, target, transport } = mapping;
  checkProtocol(protocolName(mapping), dialect, fail);
  const { hostIP, hostPort, targetIP, targetPort } = dialect;
  if (!Number.isInteger(count) || count < 1) fail(`count ${count} is not a number from 1 on`);
  checkPort(host.port, hostPort, 0, fail);
  checkPort(target.port, targetPort, 1, fail);
  if (count > 1) {
    if (host.port > 0) checkPort(host.port + count - 1, hostPort, 0, fail);
    else if (dialect.rootlesskit) fail(`a range of ${hostPort}s cannot begin with 0`);
    checkPort(target.port + count - 1, targetPort, 1, fail);
  }
  if (host.ip !== '') {
    const address = checkAddress(host.ip, hostIP, fail);
    checkFamily(mapping, address, fail);
  }
  if (target.ip !== '') checkAddress(target.ip, targetIP, fail);
  if (proxyProtocol !== undefined && transport !== 'tcp') fail('the PROXY protocol is for TCP');
}

function checkProtocol(name: string, { protocols, rootlesskit }: PortDialect, fail: Fail): void {
  if (protocols.includes(name)) return;
  if (rootlesskit) {
    const forwarded = protocols.filter((known) => !known.startsWith('sctp'));
    fail(`unknown proto ${quote(name)}; expected one of ${forwarded.join(', ')}`);
  }
  if (name === 'sctp') fail('sctp is not supported, ports are forwarded for tcp and udp only');
  fail(`invalid protocol ${quote(name)}`);
}

/** `[::]` is every address, for tcp4 too; RootlessKit's users rely on it. 0.0.0.0 is never an address of tcp6. */
function checkFamily(mapping: PortMapping, address: Address, fail: Fail): void {
  const wanted = mapping.family ?? address.family;
  if (wanted === address.family || (wanted === 4 && address.unspecified)) return;
  const protocol = protocolName(mapping);
  fail(`no suitable address found: ${protocol} cannot listen on the IPv${address.family} address ${mapping.host.ip}`);
}

interface End {
  ports: string;
  protocol: string;
  proxyProtocol: 1 | 2 | undefined;
}

/** Takes protocol and option off the end. The protocol may be written in any case. */
function splitEnd(text: string, { rootlesskit }: PortDialect, fail: Fail): End {
  const option = rootlesskit ? /\+(proxy.*)$/.exec(text) : null;
  const rest = text.slice(0, option?.index);
  const [ports, protocol = 'tcp'] = splitSlash(rest);
  const proxyProtocol = option?.[1] === undefined ? undefined : parseProxy(option[1].trim(), fail);
  return { ports, protocol: protocol.trim().toLowerCase(), proxyProtocol };
}

function parseProxy(text: string, fail: Fail): 1 | 2 {
  if (text === 'proxy1') return 1;
  if (text === 'proxy2') return 2;
  return fail(`unknown option ${quote(`+${text}`)}; known are +proxy1 and +proxy2, versions of the PROXY protocol`);
}

interface Parts {
  hostIP?: string;
  hostPorts: string;
  targetIP?: string;
  targetPorts: string;
}

/** Which field is what: by their number, and where that leaves two readings, by what cannot be an address. */
function assignFields(fields: Field[], { rootlesskit, targetPort }: PortDialect, fail: Fail): Parts {
  const text = (index: number): string => fields[index]?.text ?? '';
  const isPorts = (index: number): boolean =>
    fields[index]?.bracketed === false && /^\d+(\s*-\s*\d+)?$/.test(text(index));
  if (fields.length > (rootlesskit ? 4 : 3)) fail('too many colons, an IPv6 address needs brackets');
  if (!rootlesskit) {
    const [targetPorts = '', hostPorts = '', hostIP = ''] = fields.map((field) => field.text).reverse();
    return { hostIP, hostPorts: hostPorts || '0', targetPorts };
  }
  switch (fields.length) {
    case 2:
      return { hostPorts: text(0), targetPorts: text(1) };
    case 3:
      if (isPorts(0) && !isPorts(1)) return { hostPorts: text(0), targetIP: text(1), targetPorts: text(2) };
      return { hostIP: text(0), hostPorts: text(1), targetPorts: text(2) };
    case 4:
      return { hostIP: text(0), hostPorts: text(1), targetIP: text(2), targetPorts: text(3) };
    default:
      return fail(`no ${targetPort}`);
  }
}

const LONG_KEYS = ['target', 'published', 'protocol', 'mode', 'host_ip'];

/** Docker's long form as the short one. Containers have either of the modes of a swarm. */
function shortForm(text: string, fail: Fail): string {
  const given = new Map<string, string>();
  for (const field of text.split(',')) {
    const equals = field.indexOf('=');
    if (equals < 0) fail(`expected KEY=VALUE, not ${quote(field)}`);
    const key = field.slice(0, equals).trim().toLowerCase();
    const value = field.slice(equals + 1).trim();
    if (!LONG_KEYS.includes(key)) fail(`unknown key ${quote(key)}, there are ${LONG_KEYS.join(', ')}`);
    if (given.has(key)) fail(`${key} is given twice`);
    if (value === '') fail(`${key} has no value`);
    given.set(key, value);
  }
  const [target, published, protocol, mode, hostIP] = LONG_KEYS.map((key) => given.get(key));
  if (target === undefined) return fail('the port of the container is missing (target=…)');
  if (mode !== undefined && mode !== 'host' && mode !== 'ingress') fail(`invalid mode ${quote(mode)}`);
  const ip = hostIP === undefined ? '' : `${bracket(hostIP.replace(/^\[(.*)\]$/, '$1'))}:`;
  return `${ip}${published ?? ''}${ip === '' && published === undefined ? '' : ':'}${target}${protocol === undefined ? '' : `/${protocol}`}`;
}

/** What of the host is published, such as `127.0.0.2:8080/tcp`. */
export function formatHost(mapping: PortMapping): string {
  const { count, host } = mapping;
  return `${bracket(host.ip || '*')}:${formatPorts(host.port, count)}/${protocolName(mapping)}`;
}

/** The mapping in RootlessKit's dialect; parsePortSpec() gives the same mapping back. */
export function formatPortMapping(mapping: PortMapping): string {
  const { count, host, proxyProtocol, target } = mapping;
  const hostIP = host.ip === '' ? '' : `${bracket(host.ip)}:`;
  const targetIP = target.ip === '' ? '' : `${bracket(target.ip)}:`;
  const proxy = proxyProtocol ? `+proxy${proxyProtocol}` : '';
  return `${hostIP}${formatPorts(host.port, count)}:${targetIP}${formatPorts(target.port, count)}/${protocolName(mapping)}${proxy}`;
}

/** `8080`, or `8080-8089` for ten of them. */
export function formatPorts(first: number, count: number): string {
  return count === 1 || first === 0 ? `${first}` : `${first}-${first + count - 1}`;
}
