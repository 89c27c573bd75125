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
} from './port-text.js';
import type { PortSpec } from './ports.js';

/**
 * Port specs as people write them: `[parentIP:]parentPort:[childIP:]childPort[/proto][+proxy1|+proxy2]`.
 *
 * The grammar is RootlessKit's (IPv6 addresses in brackets, blanks around every part, an empty address means none),
 * and beyond it: parent address and protocol may be left out (`8080:80` is tcp), ports may be ranges of equal length
 * (`8000-8010:9000-9010`), and parent port 0 stands for any free one. Addresses are kept as they were written:
 * clients find their ports again by comparing strings.
 */

export const PORT_SPEC_FORM = '[parentIP:]parentPort:[childIP:]childPort[/proto][+proxy1|+proxy2]';

/** What a spec may ask for. No driver forwards SCTP yet, but RootlessKit's API knows the names, and drivers refuse them. */
export const PORT_PROTOS = ['tcp', 'tcp4', 'tcp6', 'udp', 'udp4', 'udp6', 'sctp', 'sctp4', 'sctp6'] as const;

/** A port spec that cannot be meant. The message is one line and complete: it is shown as it is. */
export class PortSpecError extends Error {
  override name = 'PortSpecError';
  /**
   * @param text what the user wrote; "" where that was no text, and then the problem tells all
   * @param problem what is wrong with it, naming the part
   */
  constructor(
    readonly text: string,
    readonly problem: string,
  ) {
    super(`invalid port${text === '' ? '' : ` ${quote(text)}`}: ${problem}`);
  }
}

/**
 * Parses one argument of the command line into specs: one for a single port, one for each port of a range.
 * @throws PortSpecError
 */
export function parsePortSpecs(text: string): PortSpec[] {
  const fail = (problem: string): never => {
    throw new PortSpecError(text, `${problem}; expected ${PORT_SPEC_FORM}, such as 127.0.0.1:8080:80/tcp`);
  };
  const slash = text.lastIndexOf('/');
  if (text.trim() === '') fail('it is empty');
  const option = /\+(proxy.*)$/.exec(text);
  const end = option?.index ?? text.length;
  const proto = slash < 0 ? 'tcp' : text.slice(slash + 1, end).trim();
  const proxyProtocol = option?.[1] === undefined ? undefined : parseProxy(option[1].trim(), fail);
  const fields = splitFields(text.slice(0, slash < 0 ? end : slash), fail);
  const { parentIP, parentPorts, childIP, childPorts } = assignFields(fields, fail);

  const parent = parseRange(parentPorts, 'parent port', fail);
  const child = parseRange(childPorts, 'child port', fail);
  if (parent.count !== child.count) {
    fail(`${parent.count} parent port${plural(parent.count)} for ${child.count} child port${plural(child.count)}`);
  }
  if (parent.count > 1 && parent.first === 0) fail('a range of parent ports cannot begin with 0');

  const specs: PortSpec[] = [];
  for (let offset = 0; offset < parent.count; offset++) {
    specs.push({
      proto,
      ...(parentIP && { parentIP }),
      parentPort: parent.first + offset,
      childPort: child.first + offset,
      ...(childIP && { childIP }),
      ...(proxyProtocol && { proxyProtocol }),
    });
  }
  // The specs of a range differ in their ports only, and those of the last one are the largest.
  for (const spec of new Set([specs[0], specs.at(-1)])) if (spec) validatePortSpec(spec, text);
  return specs;
}

/**
 * Checks a spec, wherever it came from: known protocol, literal addresses, ports in range, and a host address on
 * which the protocol can listen. Whether a driver supports the protocol is the driver's to say.
 * @param text how messages call the spec; as the command line takes it where it is left out
 * @throws PortSpecError
 */
export function validatePortSpec(spec: PortSpec, text?: string): void {
  const fail = (problem: string): never => {
    throw new PortSpecError(text ?? formatPortSpec(spec), problem);
  };
  if (!PORT_PROTOS.some((known) => known === spec.proto)) {
    fail(
      `unknown proto ${quote(spec.proto)}; expected one of ${PORT_PROTOS.filter((name) => !name.startsWith('sctp')).join(', ')}`,
    );
  }
  checkPort(spec.parentPort, 'parent port', 0, fail);
  checkPort(spec.childPort, 'child port', 1, fail);
  if (spec.parentIP) {
    const address = checkAddress(spec.parentIP, 'parent IP', fail);
    checkFamily(spec.proto, spec.parentIP, address, fail);
  }
  if (spec.childIP) checkAddress(spec.childIP, 'child IP', fail);
  if (spec.proxyProtocol !== undefined && !spec.proto.startsWith('tcp')) fail('the PROXY protocol is for TCP');
}

/** The spec as the command line takes it; `parsePortSpecs` gives the same spec back. */
export function formatPortSpec(spec: PortSpec): string {
  const parent = spec.parentIP ? `${bracket(spec.parentIP)}:` : '';
  const child = spec.childIP ? `${bracket(spec.childIP)}:` : '';
  const proxy = spec.proxyProtocol ? `+proxy${spec.proxyProtocol}` : '';
  return `${parent}${spec.parentPort}:${child}${spec.childPort}/${spec.proto}${proxy}`;
}

function parseProxy(text: string, fail: Fail): 1 | 2 {
  if (text === 'proxy1') return 1;
  if (text === 'proxy2') return 2;
  return fail(`unknown option ${quote(`+${text}`)}; known are +proxy1 and +proxy2, versions of the PROXY protocol`);
}

/**
 * Two specs with the same key cannot be published at once. As with RootlessKit the key compares what was written:
 * anything subtler, such as 0.0.0.0 against 127.0.0.1, is found by bind(2). `undefined` conflicts with nothing:
 * parent port 0 takes another port each time.
 */
export function conflictKey(spec: PortSpec): string | undefined {
  if (spec.parentPort === 0) return undefined;
  return `${spec.proto} ${spec.parentIP ?? ''} ${spec.parentPort}`;
}

interface Parts {
  parentIP?: string;
  parentPorts: string;
  childIP?: string;
  childPorts: string;
}

/** Says which field is what: by their number, and where that leaves two readings, by what cannot be an address. */
function assignFields(fields: Field[], fail: Fail): Parts {
  const text = (index: number): string => fields[index]?.text ?? '';
  const isPorts = (index: number): boolean =>
    fields[index]?.bracketed === false && /^\d+(\s*-\s*\d+)?$/.test(text(index));
  switch (fields.length) {
    case 0:
    case 1:
      return fail('no child port');
    case 2:
      return { parentPorts: text(0), childPorts: text(1) };
    case 3:
      if (isPorts(0) && !isPorts(1)) return { parentPorts: text(0), childIP: text(1), childPorts: text(2) };
      return { parentIP: text(0), parentPorts: text(1), childPorts: text(2) };
    case 4:
      return { parentIP: text(0), parentPorts: text(1), childIP: text(2), childPorts: text(3) };
    default:
      return fail('too many colons, an IPv6 address needs brackets');
  }
}

/** `[::]` is every address, for tcp4 too; RootlessKit's users rely on it. 0.0.0.0 is never an address of tcp6. */
function checkFamily(proto: string, text: string, address: Address, fail: Fail): void {
  const wanted = proto.endsWith('4') ? 4 : proto.endsWith('6') ? 6 : address.family;
  if (wanted === address.family || (wanted === 4 && address.unspecified)) return;
  fail(`no suitable address found: ${proto} cannot listen on the IPv${address.family} address ${text}`);
}
