/**
 * The form in which the engine gets a policy; native/src/policy/policy_model.h reads it. Numbers are big-endian.
 *
 *   policy   version (1 byte, 1), default (1 byte, as action), number of rules (4 bytes), rules
 *   rule     action (1 byte: 0 allow, 1 deny), protocols (1 byte: 1 tcp, 2 udp, 4 icmp, 8 names), first and last port
 *            (2 bytes each, 0 and 65535 for all), place
 *   place    kind (1 byte), and
 *            1 network      family (1 byte: 4 or 6), prefix length (1 byte), 4 or 16 bytes
 *            2 name, 3 subdomains    length (1 byte), bytes
 *            0 any, 4 host, 5 nothing     no more
 *
 * Rules keep their order: the engine's counters and reasons refer to them by it.
 */
import { ADDRESS_BITS } from '../net/ip.js';
import {
  defaultAction,
  type EgressAction,
  type EgressPlace,
  type EgressRule,
  type EgressTarget,
  type PlaceTarget,
} from './rule.js';

const VERSION = 1;
const TCP = 1;
const UDP = 2;
const ICMP = 4;
const NAMES = 8;
const PROTOCOLS = { tcp: TCP, udp: UDP, icmp: ICMP } as const;
const NOTHING = Buffer.from([5]);

/** Encodes a policy of these rules. @param more exceptions after them, which leave the default as it is */
export function encodePolicy(rules: readonly EgressRule[], more: readonly EgressRule[] = []): Buffer {
  const head = Buffer.alloc(6);
  head.writeUInt8(VERSION, 0);
  head.writeUInt8(defaultAction(rules) === 'allow' ? 0 : 1, 1);
  head.writeUInt32BE(rules.length + more.length, 2);
  return Buffer.concat([head, ...[...rules, ...more].map(encodeRule)]);
}

function encodeRule({ action, target }: EgressRule): Buffer {
  const { protocols, ports = { first: 0, last: 65535 }, place } = contentOf(action, target);
  const head = Buffer.alloc(6);
  head.writeUInt8(action === 'allow' ? 0 : 1, 0);
  head.writeUInt8(protocols, 1);
  head.writeUInt16BE(ports.first, 2);
  head.writeUInt16BE(ports.last, 4);
  return Buffer.concat([head, place]);
}

interface Content {
  protocols: number;
  ports?: PlaceTarget['ports'];
  place: Buffer;
}

function contentOf(action: EgressAction, target: EgressTarget): Content {
  const any = encodePlace({ kind: 'any' });
  if (target.kind === 'dns') return { protocols: NAMES, place: target.place ? encodePlace(target.place) : any };
  if (target.kind === 'preset') {
    switch (target.preset) {
      case 'none':
        return { protocols: 0, place: NOTHING };
      case 'dns-only':
        return { protocols: NAMES, place: any };
      case 'public':
        return { protocols: TCP | UDP | ICMP | NAMES, place: any };
    }
  }
  return {
    protocols: protocolsOf(action, target),
    ...(target.ports && { ports: target.ports }),
    place: encodePlace(target.place),
  };
}

/** What may be reached at any address may be resolved by any name. Only what denies everything denies the names, too. */
function protocolsOf(action: EgressAction, { place, ports, protocol }: PlaceTarget): number {
  if (protocol === 'icmp') return ICMP;
  const whole = protocol === undefined && !ports;
  const names = place.kind === 'any' && (action === 'allow' || whole) ? NAMES : 0;
  return names | (protocol ? PROTOCOLS[protocol] : ports ? TCP | UDP : TCP | UDP | ICMP);
}

function encodePlace(place: EgressPlace): Buffer {
  switch (place.kind) {
    case 'any':
      return Buffer.from([0]);
    case 'network': {
      const { family, first, prefix } = place.subnet;
      const digits = first.toString(16).padStart(ADDRESS_BITS[family] / 4, '0');
      return Buffer.concat([Buffer.from([1, family, prefix]), Buffer.from(digits, 'hex')]);
    }
    case 'name':
    case 'subdomains': {
      const name = Buffer.from(place.name, 'ascii');
      return Buffer.concat([Buffer.from([place.kind === 'name' ? 2 : 3, name.length]), name]);
    }
    case 'host':
      return Buffer.from([4]);
  }
}
