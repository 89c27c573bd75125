/**
 * Policy routing: rules that send packets to a routing table of their own, and local routes in it (ip-rule(8),
 * rtnetlink(7), linux/fib_rules.h).
 */
import { isIPv6 } from 'node:net';
import { ipBytes } from './route.js';
import { attribute, type Message, NetlinkSocket, NLM_F, u32 } from './socket.js';

const NETLINK_ROUTE = 0;
const RTM = { NEWROUTE: 24, DELROUTE: 25, NEWRULE: 32, DELRULE: 33 } as const;
const FRA = { SRC: 2, IIFNAME: 3, PRIORITY: 6, TABLE: 15, IP_PROTO: 22, SPORT_RANGE: 23, DPORT_RANGE: 24 } as const;
const FR_ACT_TO_TBL = 1;
const RTA = { DST: 1, OIF: 4, PREFSRC: 7, TABLE: 15 } as const;
const RTPROT_STATIC = 4;
const RT_SCOPE_HOST = 254;
const RTN_LOCAL = 2;
/** lo is the first device of every network namespace. */
const LOOPBACK = 1;
const AF_INET = 2;
const AF_INET6 = 10;
const PROTOCOLS = { icmp: 1, tcp: 6, udp: 17, icmp6: 58 } as const;
/** Type and code of "port unreachable" (RFC 792, RFC 4443), where the kernel keeps ports: struct flowi_uli has them in one place. */
const UNREACHABLE = { icmp: 0x0303, icmp6: 0x0104 } as const;

/** Which packets look into the table. */
export interface PolicyRule {
  family: 4 | 6;
  /** Device that they come from; `lo` for those of this namespace itself. */
  from: string;
  /** Address that they come from; absent for any. */
  source?: string;
  /** Answers from a port; or `unreachable`, what the kernel says where nothing listens on a UDP port. */
  what: { protocol: 'tcp' | 'udp'; port: number } | 'unreachable';
  table: number;
  priority: number;
}

/** Packets to that address are for this namespace, as far as they look into the table. */
export interface LocalRoute {
  address: string;
  table: number;
  /** What answers come from that have no address yet; absent for the kernel's choice. */
  preferredSource?: string;
}

/** Every method throws NetlinkError. */
export class PolicyRouting implements Disposable {
  readonly #socket = new NetlinkSocket(NETLINK_ROUTE);

  /** Does nothing where there is such a rule. */
  addRule(rule: PolicyRule): void {
    const flags = NLM_F.CREATE | NLM_F.EXCL;
    this.#socket.send({ ...ruleMessage(RTM.NEWRULE, rule, 'make'), flags, accept: ['EEXIST'] });
  }

  /** Does nothing where there is none. */
  deleteRule(rule: PolicyRule): void {
    this.#socket.send({ ...ruleMessage(RTM.DELRULE, rule, 'remove'), accept: ['ENOENT', 'ESRCH'] });
  }

  /** Does nothing where there is such a route. */
  addRoute(route: LocalRoute): void {
    const flags = NLM_F.CREATE | NLM_F.EXCL;
    this.#socket.send({ ...routeMessage(RTM.NEWROUTE, route, 'make'), flags, accept: ['EEXIST'] });
  }

  /** Does nothing for those that are not there. */
  deleteRoutes(routes: readonly LocalRoute[]): void {
    const messages = routes.map(
      (route): Message => ({ ...routeMessage(RTM.DELROUTE, route, 'remove'), accept: ['ESRCH', 'ENOENT'] }),
    );
    // The kernel's answers have to fit the socket's buffer.
    for (let at = 0; at < messages.length; at += 64) this.#socket.send(...messages.slice(at, at + 64));
  }

  [Symbol.dispose](): void {
    this.#socket[Symbol.dispose]();
  }
}

function ruleMessage(type: number, rule: PolicyRule, verb: string): Message {
  const { family, from, source, what, table, priority } = rule;
  const bytes = source === undefined ? Buffer.alloc(0) : ipBytes(source);
  const icmp = family === 4 ? 'icmp' : 'icmp6';
  const [protocol, port, end] =
    what === 'unreachable'
      ? [PROTOCOLS[icmp], UNREACHABLE[icmp], FRA.DPORT_RANGE]
      : [PROTOCOLS[what.protocol], what.port, FRA.SPORT_RANGE];
  const range = Buffer.alloc(4);
  range.writeUInt16LE(port, 0);
  range.writeUInt16LE(port, 2);
  // struct fib_rule_hdr
  const header = Buffer.alloc(12);
  header[0] = family === 4 ? AF_INET : AF_INET6;
  header[2] = bytes.length * 8;
  header[7] = FR_ACT_TO_TBL;
  return {
    type,
    payload: Buffer.concat([
      header,
      attribute(FRA.TABLE, table),
      attribute(FRA.PRIORITY, priority),
      attribute(FRA.IIFNAME, from),
      attribute(FRA.IP_PROTO, Buffer.from([protocol])),
      attribute(end, range),
      ...(bytes.length > 0 ? [attribute(FRA.SRC, bytes)] : []),
    ]),
    what: `${verb} the rule for answers from ${what === 'unreachable' ? 'nobody' : `${what.protocol} port ${what.port}`}`,
  };
}

function routeMessage(type: number, { address, table, preferredSource }: LocalRoute, verb: string): Message {
  const bytes = ipBytes(address);
  // struct rtmsg; tables above 255 stand in the attribute alone.
  const header = Buffer.concat([
    Buffer.from([isIPv6(address) ? AF_INET6 : AF_INET, bytes.length * 8, 0, 0]),
    Buffer.from([0, RTPROT_STATIC, RT_SCOPE_HOST, RTN_LOCAL]),
    u32(0),
  ]);
  return {
    type,
    payload: Buffer.concat([
      header,
      attribute(RTA.DST, bytes),
      attribute(RTA.OIF, LOOPBACK),
      attribute(RTA.TABLE, table),
      ...(preferredSource === undefined ? [] : [attribute(RTA.PREFSRC, ipBytes(preferredSource))]),
    ]),
    what: `${verb} the route for answers to ${address}`,
  };
}
