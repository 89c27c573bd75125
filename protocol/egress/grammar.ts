/**
 * Egress rules as people write them (--allow, --deny, lines of an egress file), without their action:
 *
 *   rule      = preset / "dns" / "dns:" names / protocol / [protocol ":"] place [":" ports]
 *   preset    = "@none" / "@dns-only" / "@public"
 *   protocol  = "tcp" / "udp" / "icmp"                   ; icmp has no ports
 *   names     = name / "*." name
 *   place     = "*" / "host" / names / ipv4 ["/" length] / ipv6 ["/" length]
 *             / "[" ipv6 ["/" length] "]"                ; before ports
 *   ports     = port ["-" port]                          ; 1 to 65535, the smaller one first
 *   name      = label *("." label) ["."]                 ; the last label is not a number
 *
 * `*.NAME` is every name below that one, and not itself. A host that is called as a word of the grammar has a final dot.
 */
import { ExpectedError } from '../errors/expected-error.js';
import { formatSubnet, type Subnet, subnetAround } from '../net/cidr.js';
import { ADDRESS_BITS, familyOf, parseIP } from '../net/ip.js';
import { quote } from '../text/preview.js';
import { normalizeHostName } from './host-name.js';
import {
  type EgressAction,
  type EgressPlace,
  type EgressPreset,
  type EgressProtocol,
  type EgressRule,
  type EgressTarget,
  type NamePlace,
  type PortRange,
  PRESETS,
  RESERVED_WORDS,
} from './rule.js';

const FORM =
  'NAME, *.NAME, an address or a subnet, each with :PORT or not, or tcp, udp, icmp, dns, host, @none, @dns-only, @public';
/** A rule cannot be longer: a name, a protocol and a range of ports. */
const MAX_LENGTH = 512;
const MAX_PORT = 65535;

/** An invalid rule. The message is one line and complete. */
export class EgressRuleError extends ExpectedError {
  override name = 'EgressRuleError';
  override readonly code: string = 'invalid-rule';
  override readonly httpStatus = 400;

  /**
   * @param text what the user wrote
   * @param origin where: an option, or a file with the line
   * @param expected what would be valid instead
   */
  constructor(
    readonly text: string,
    origin: string,
    readonly expected: string,
  ) {
    super(`Invalid rule ${quote(text)} (${origin}): expected ${expected}`);
  }
}

type Fail = (expected: string) => never;

/**
 * Parses a rule.
 * @param origin for messages, such as `--allow`
 * @throws EgressRuleError
 */
export function parseRule(action: EgressAction, written: string, origin: string): EgressRule {
  const fail: Fail = (expected) => {
    throw new EgressRuleError(written, origin, expected);
  };
  const text = written.trim().toLowerCase();
  if (text === '' || text.length > MAX_LENGTH) fail(FORM);
  return { action, target: parseTarget(action, text, fail) };
}

/**
 * Parses `allow RULE` or `deny RULE`; undefined for a text that does not have that form.
 * @param origin for messages
 * @throws EgressRuleError
 */
export function parseRuleLine(text: string, origin: string): EgressRule | undefined {
  const [, action, rule] = /^(allow|deny)\s+(\S+)$/.exec(text.trim()) ?? [];
  if ((action !== 'allow' && action !== 'deny') || rule === undefined) return undefined;
  return parseRule(action, rule, origin);
}

function parseTarget(action: EgressAction, text: string, fail: Fail): EgressTarget {
  if (text.startsWith('@')) return { kind: 'preset', preset: parsePreset(action, text.slice(1), fail) };
  if (text === 'dns') return { kind: 'dns' };
  if (isProtocol(text)) return { kind: 'place', protocol: text, place: { kind: 'any' } };
  const [, names] = /^dns:(?!\d+(?:-\d+)?$)(.*)$/.exec(text) ?? [];
  if (names !== undefined) return { kind: 'dns', place: parseNames(names, fail) };
  const url = /^[a-z][a-z0-9+.-]*:\/\/([^/?#]*)/.exec(text);
  if (url) fail(`a name without scheme and path, such as ${url[1] || 'registry.npmjs.org'}`);

  const [, word, rest = text] = /^(tcp|udp|icmp):(.*)$/.exec(text) ?? [];
  const { place: placeText, ports: portsText } = splitPorts(rest, fail);
  const place = parsePlace(placeText, word, fail);
  const ports = portsText === undefined ? undefined : parsePorts(portsText, fail);
  if (ports && word === 'icmp') fail('no port: icmp has none');
  return {
    kind: 'place',
    ...(word !== undefined && isProtocol(word) && { protocol: word }),
    place,
    ...(ports && { ports }),
  };
}

function isProtocol(text: string): text is EgressProtocol {
  return text === 'tcp' || text === 'udp' || text === 'icmp';
}

function parsePreset(action: EgressAction, text: string, fail: Fail): EgressPreset {
  const preset = PRESETS.find((known) => known === text);
  if (preset === undefined) return fail(`one of the presets ${PRESETS.map((known) => `@${known}`).join(', ')}`);
  if (action === 'deny') fail('a preset to be allowed: what it leaves out is denied');
  return preset;
}

/** Takes the port off the end. Without brackets an IPv6 address is the whole text. */
function splitPorts(text: string, fail: Fail): { place: string; ports: string | undefined } {
  if (text.startsWith('[')) {
    const [whole, place = '', ports] = /^\[([^[\]]*)\](?::(.*))?$/.exec(text) ?? [];
    if (whole === undefined || familyOf(place) !== 6) {
      fail('an IPv6 address or subnet in the brackets, and a port after them, such as [2001:db8::/32]:443');
    }
    return { place, ports };
  }
  const parts = text.split(':');
  if (parts.length === 2) return { place: parts[0] ?? '', ports: parts[1] };
  return { place: text, ports: undefined };
}

function parsePlace(text: string, protocol: string | undefined, fail: Fail): EgressPlace {
  if (text === '*') return { kind: 'any' };
  if (text === 'host') return { kind: 'host' };
  const refusePorts = (ports: string) => {
    if (/^\d+(-\d+)?$/.test(ports)) fail(`an address or a name before a port, such as ${protocol ?? 'tcp'}:*:${ports}`);
  };
  refusePorts(text);
  if (text.includes('/') || text.includes(':') || /^[\d.]+$/.test(text)) {
    return { kind: 'network', subnet: parseNetwork(text, fail) };
  }
  if (RESERVED_WORDS.includes(text)) fail(`"${text}" without port and protocol, or "${text}." for a host of that name`);
  const wildcard = text.startsWith('*.');
  const name = normalizeHostName(wildcard ? text.slice(2) : text);
  if (name === undefined) {
    if (text.includes('*')) fail('* alone, or *. before a name, such as *.github.com');
    return fail(FORM);
  }
  if (wildcard) return { kind: 'subdomains', name };
  // As they are compared: other digits and letters are some of these, too.
  refusePorts(name);
  if (name === 'localhost') fail('"host" for what listens on the host; localhost is the sandbox itself');
  return { kind: 'name', name };
}

/** Behind `dns:`. */
function parseNames(text: string, fail: Fail): NamePlace {
  const place = /[:/*]/.test(text.replace(/^\*\./, '')) ? undefined : parsePlace(text, undefined, fail);
  if (place?.kind === 'name' || place?.kind === 'subdomains') return place;
  return fail('a name after dns:, without a port, such as dns:db.example or dns:*.example');
}

function parseNetwork(text: string, fail: Fail): Subnet {
  const [ip = '', bits, ...more] = text.split('/');
  const address = parseIP(ip);
  if (!address || more.length > 0 || familyOf(ip) !== address.family) {
    return fail('an address or a subnet, such as 192.0.2.7, 10.1.0.0/16 or [2001:db8::/32]:443');
  }
  const length = ADDRESS_BITS[address.family];
  const prefix = bits === undefined ? length : Number(bits);
  if (bits !== undefined && (!/^\d{1,3}$/.test(bits) || prefix > length)) fail(`a prefix length from 0 to ${length}`);
  const subnet = subnetAround(address, prefix);
  if (subnet.first !== address.value) fail(`${formatSubnet(subnet)}, or the address alone`);
  return subnet;
}

function parsePorts(text: string, fail: Fail): PortRange {
  const [whole, low = '', high = low] = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(text) ?? [];
  const range = { first: Number(low), last: Number(high) };
  if (whole === undefined || range.first < 1 || range.last > MAX_PORT) {
    fail(`ports from 1 to ${MAX_PORT}, such as :443 or :8000-8099`);
  }
  if (range.first > range.last) fail(`the smaller port first, :${range.last}-${range.first}`);
  return range;
}
