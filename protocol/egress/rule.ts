/**
 * The one model of an egress rule, from the parser to the engine, and how it is written. native/src/policy/policy.h describes in
 * which order rules decide.
 */
import type { Subnet } from '../net/cidr.js';
import { ADDRESS_BITS, formatIP } from '../net/ip.js';

export type EgressAction = 'allow' | 'deny';
export type EgressProtocol = 'tcp' | 'udp' | 'icmp';

/** Whole policies by one word: nothing, name resolution alone, every public address. */
export const PRESETS = ['none', 'dns-only', 'public'] as const;
export type EgressPreset = (typeof PRESETS)[number];

/** Words of the grammar that could be names of hosts; such a host is written with a final dot. */
export const RESERVED_WORDS: readonly string[] = ['tcp', 'udp', 'icmp', 'dns', 'host'];

/** Where a connection leads. */
export type EgressPlace =
  /** Every address; to allow it opens public ones only. */
  | { readonly kind: 'any' }
  /** A single address is a subnet, too. */
  | { readonly kind: 'network'; readonly subnet: Readonly<Subnet> }
  /** In lower case, as punycode, without the final dot. */
  | { readonly kind: 'name'; readonly name: string }
  /** Every name that ends with a dot and this one. */
  | { readonly kind: 'subdomains'; readonly name: string }
  /** The addresses of the host, its loopback at the gateway included. */
  | { readonly kind: 'host' };

export type NamePlace = Extract<EgressPlace, { name: string }>;

/** From 1 to 65535, both inclusive. */
export interface PortRange {
  readonly first: number;
  readonly last: number;
}

export interface PlaceTarget {
  readonly kind: 'place';
  /** All of them without it; with ports TCP and UDP. */
  readonly protocol?: EgressProtocol;
  readonly place: EgressPlace;
  /** All of them without it. Never with icmp. */
  readonly ports?: PortRange;
}

export type EgressTarget =
  | PlaceTarget
  /** Names at the stack's own name server, of any kind or these, and no connection. */
  | { readonly kind: 'dns'; readonly place?: NamePlace }
  | { readonly kind: 'preset'; readonly preset: EgressPreset };

export interface EgressRule {
  readonly action: EgressAction;
  readonly target: EgressTarget;
}

/** What happens to what no rule is about: with any rule that allows, everything else is denied. */
export function defaultAction(rules: readonly EgressRule[]): EgressAction {
  return rules.some(({ action }) => action === 'allow') ? 'deny' : 'allow';
}

/** The rule without its action, in its one canonical spelling; parseRule() gives the same target back. */
export function formatTarget(target: EgressTarget): string {
  if (target.kind === 'dns') return target.place ? `dns:${formatPlace(target.place)}` : 'dns';
  if (target.kind === 'preset') return `@${target.preset}`;
  const { place, ports, protocol } = target;
  if (place.kind === 'any' && protocol !== undefined && !ports) return protocol;
  const prefix = protocol === undefined ? '' : `${protocol}:`;
  if (!ports) return `${prefix}${formatPlace(place)}`;
  const { first, last } = ports;
  return `${prefix}${formatPlace(place, true)}:${first === last ? first : `${first}-${last}`}`;
}

/** A line of an egress file, such as `allow *.github.com:443`. */
export function formatRule({ action, target }: EgressRule): string {
  return `${action} ${formatTarget(target)}`;
}

function formatPlace(place: EgressPlace, bracketed = false): string {
  switch (place.kind) {
    case 'any':
      return '*';
    case 'host':
      return 'host';
    case 'name':
      return RESERVED_WORDS.includes(place.name) ? `${place.name}.` : place.name;
    case 'subdomains':
      return `*.${place.name}`;
    case 'network': {
      const { family, first, prefix } = place.subnet;
      const address = formatIP({ family, value: first });
      const text = prefix === ADDRESS_BITS[family] ? address : `${address}/${prefix}`;
      return bracketed && family === 6 ? `[${text}]` : text;
    }
  }
}
